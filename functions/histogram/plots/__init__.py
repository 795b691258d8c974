"""Plots of histograms: the layout of a chart, and its renderers for PNG, SVG and PDF.

`functions.histogram.main` and `analysis` import it.
"""
