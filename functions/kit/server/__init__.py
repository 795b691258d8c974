"""The HTTP server: a gunicorn application with threads, socket deadlines and drain.

Run it with `python -m functions.kit.server NAME`; it imports the function by its file, and only tests import it.
"""
