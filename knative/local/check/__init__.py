"""The rules of Knative's webhook by kind, a lint, and the command `python -m knative check`.

It imports `manifests` alone; the engine and the simulation load manifests through `check.admission`.
"""
