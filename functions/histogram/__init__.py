"""Exact histograms of images, as counts and as plots."""
