"""The status of Eventing's objects, and the objects that a cluster's controllers make for them.

Over the store and the graph that the engine runs. The engine may import it.
"""
