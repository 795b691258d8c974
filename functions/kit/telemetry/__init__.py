"""Logs, request and trace ids, Prometheus metrics, and the CPU and memory of a container.

It imports no other package of the kit.
"""
