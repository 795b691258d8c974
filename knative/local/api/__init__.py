"""The Kubernetes API of the engine: one store of objects, and what kubectl, kn and Kubernetes clients speak to it.

`knative.local.engine` imports it; it imports the packages below `eventing` and `eventing` itself.
"""
