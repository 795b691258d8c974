"""Fuzzing of every parser of untrusted bytes, guided by coverage, and of every function over HTTP by its schema.

`make fuzz` runs it; `tests/fuzz` repeats its finds.
"""
