"""The HTTP side of the Kubernetes API: discovery, verbs, watches, patches, tables, OpenAPI and access.

Imported by `knative.local.engine`; it imports `knative.local.api` and the packages below that.
"""
