"""The one safe way to open a picture: formats, limits and decoding slots.

Functions that decode pixels import it.
"""
