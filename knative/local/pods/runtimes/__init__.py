"""How the program of a pod is run: as a process of this machine, or as a container of podman or docker.

It imports `manifests` and, of `pods`, what describes a pod; only `pods` and the engine import it.
"""
