"""The scan of a file's parts: blocks of metadata, own fields, embedded files, and what was not read.

The reading of a file and the check of a clean copy import it; it imports `functions.kit.containers` and the fields.
"""
