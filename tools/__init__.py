"""Tools for development: benchmarks, chaos, fuzzing, locked requirements and the supply chain.

The Makefile runs them; they import the servers and made images of `tests`, and nothing imports them but tests.
"""
