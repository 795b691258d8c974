"""The autoscaler's decisions on a virtual clock, without pods: `python -m knative simulate`.

It imports `manifests`, `check` and `autoscaler`, and the queue limits of `proxy.breaker`; the load suite imports it.
"""
