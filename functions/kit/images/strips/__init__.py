"""Pictures of any size in strips: rows as stored in the file, or through libvips.

May import the rest of `kit.images` but `opening`; imported by `kit.images` and histogram.
"""
