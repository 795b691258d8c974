"""The engine that runs Knative manifests on one machine.

Its packages import one another in one direction, which import-linter contracts hold; it imports no function.
"""
