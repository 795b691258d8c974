"""Pods that are kept running whether or not requests come, as those of a Deployment are.

Over `pods`; the controllers and the engine may import it.
"""
