"""Knative Serving's controllers: from Services, Configurations and Routes to revisions, traffic and status.

Over the store and what runs. The reconciler brings it into turns; only the controllers and the engine may import it.
"""
