"""Plots of histograms: a chart apart from how it is drawn, and what draws it as PNG, SVG and PDF.

`functions.histogram.main` and `analysis` import it.
"""
