"""Brokers, Triggers, Sequences and Parallels: ingress, topology, filters, delivery and the event log.

It imports `manifests` and the CloudEvents binding of the kit; the engine connects it to the data path.
"""
