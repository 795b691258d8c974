"""The data path of one revision: downstream connections, activator, queue-proxy, breaker and upstream connections.

It imports `manifests` and `autoscaler`.
"""
