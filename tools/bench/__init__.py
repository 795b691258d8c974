"""Benchmarks: every figure is a ratio against a named peer, both measured in one run, in turns.

`make bench` runs them; a module is an area.
"""
