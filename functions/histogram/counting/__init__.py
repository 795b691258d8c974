"""From decoded pictures to counts: 8 bits a sample, more bits, sensors, and the space that is counted in.

The histogram function alone imports it; it imports nothing of the function but its own modules.
"""
