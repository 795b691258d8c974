"""Manifests as data: YAML with positions, kustomize, schema, decoding, annotations and cluster configuration.

Every other package of the engine may import it; it imports none of them.
"""
