"""The names of Services inside and outside the cluster, and the calls that pods make by them.

`pods`, `controllers` and `engine` import it.
"""
