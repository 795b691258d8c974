"""Services, revisions and their pods as processes: templates, environment, probes, limits and ports.

It imports `manifests`, `autoscaler` and `proxy`.
"""
