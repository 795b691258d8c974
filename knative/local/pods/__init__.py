"""Services, revisions and their pods: templates, conditions, environment, volumes, probes, limits and ports.

It imports `manifests`, `autoscaler` and `proxy`.
"""
