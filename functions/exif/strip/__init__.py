"""Clean copies by container, for the formats that the editor does not handle as parts yet.

`functions.exif.edit` alone may import it.
"""
