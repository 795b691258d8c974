"""Exact histograms of images, as counts and as plots.

It imports `functions.kit` alone; the server imports `main.py` by its path.
"""
