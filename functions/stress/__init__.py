"""Precise CPU load, with the CPU of each pod shown live."""
