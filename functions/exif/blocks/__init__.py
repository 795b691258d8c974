"""From a block of metadata to its tags: Exif's directories, XMP, IPTC, ICC profiles, and short headers.

The reading of a file, makers' notes and the editing of blocks import it; it imports no container.
"""
