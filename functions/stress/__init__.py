"""A precise CPU load in child processes, with the CPU of each pod shown live.

It imports `functions.kit` alone; the server imports `main.py` by its path.
"""
