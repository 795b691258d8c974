"""The step that prepares an image while it is built: warm caches and compiled modules.

The Dockerfile runs it; nothing imports it.
"""
