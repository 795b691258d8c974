"""The routes of stress: burning, usage and faults, over the state of the process.

Imported by `functions.stress.main`.
"""
