"""Pods over time, from the engine's status, the Kubernetes API or the responses: `python -m loadtest.observe`.

The lab of the scenarios imports it.
"""
