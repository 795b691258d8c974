"""The functions, each of which deploys on its own, and the kit that they share.

A function imports the kit and never another function.
"""
