"""Knative's controllers over the store: children, labels and status of objects, and collection of old revisions.

`knative.local.engine` imports it and brings in what runs; it imports `knative.local.api` and the packages below.
"""
