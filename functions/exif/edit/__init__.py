"""Clean copies and set fields: from the bytes of a picture to those of its copy, without HTTP.

`functions.exif.editing` and `functions.exif.copies` may import it; it imports the readers of `functions.exif`.
"""
