"""From a file's parts to its blocks of metadata, its own fields, what was not read of it, and the files inside it.

The reading of a file and the check of a clean copy import it; it imports `functions.kit.containers` and the fields.
"""
