"""The metadata of a photo as typed tags, and a copy of the photo without it.

It imports `functions.kit` alone; the server imports `main.py` by its path.
"""
