"""Blocks of metadata with some of their content removed: Exif, XMP, IPTC, ICC, makers' records, videos.

`functions.exif.edit` may import it; it knows blocks alone, and nothing of the containers that hold them.
"""
