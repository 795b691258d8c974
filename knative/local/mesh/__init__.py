"""Calls from pods to Services by their names inside the cluster, and who may make them.

The engine imports it.
"""
