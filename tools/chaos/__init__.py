"""Attacks over HTTP, faults and a soak: what keeps working, what is refused, and how fast it recovers.

`make chaos` and `make soak` run them; `tests/chaos` runs their parts.
"""
