"""Clean copies and fields set: from the bytes of a picture to the bytes of another one, without a request or a header.

`functions.exif.editing` and `functions.exif.copies` may import it; it imports the readers of `functions.exif`.
"""
