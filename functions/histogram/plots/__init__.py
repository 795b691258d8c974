"""Plots of histograms: the layout of a chart, and its renderers for PNG, SVG and PDF.

`functions.histogram.main` and `analysis` import it, each renderer with the first plot that needs it.
"""

SCOPES = ("waveform", "vectorscope")  # drawn from pixels; every other kind is drawn from counts
