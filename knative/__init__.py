"""The manifests, and the engine that runs them on one machine."""
