"""The Kubernetes API of the engine, for kubectl, kn and client libraries: admission, defaults, one store.

`knative.local.engine` imports it; it imports the packages below `eventing` and `eventing` itself.
"""
