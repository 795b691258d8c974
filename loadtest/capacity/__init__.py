"""Capacity plans for a load by formula and by simulation: `python -m loadtest.capacity`.

Scenarios import its forecasts.
"""
