"""Counts of decoded pictures: 8 bits a sample, more bits, sensor values, and colour spaces.

The histogram function alone imports it; it imports nothing of the function but its own modules.
"""
