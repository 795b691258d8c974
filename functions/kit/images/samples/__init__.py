"""Pictures of more than 8 bits a sample: their own values in strips, as numpy arrays, one reader for each format.

Functions and `kit.images` import it; numpy and libvips are imported where such a picture is opened.
"""
