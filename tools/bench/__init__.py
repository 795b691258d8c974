"""Benchmarks: every figure is a ratio against a named peer, both measured in one run, in turns."""
