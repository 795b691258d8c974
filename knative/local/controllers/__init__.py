"""What Knative's controllers do, over the store: children, labels and status of objects, and which revisions stay.

`knative.local.engine` imports it and brings in what runs; it imports `knative.local.api` and the packages below.
"""
