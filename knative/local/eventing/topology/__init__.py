"""The objects of Eventing as one graph: nodes that receive events, and subscriptions that forward them.

Pure: it is built of manifests alone. The rest of `eventing`, the controllers and the engine may import it.
"""
