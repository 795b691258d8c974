"""Benchmarks of images that take seconds: large ones and camera raws.

`tools.bench.histogram` runs them; they import its pictures and the harness.
"""
