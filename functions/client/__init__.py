"""The command `pixelamp`: it talks HTTP to the functions, on this machine or on a cluster.

It imports no other package of the project.
"""
