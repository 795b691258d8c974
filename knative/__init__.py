"""Knative Services on one machine and on a cluster: manifests, images, deployment and the local engine.

Of the functions it imports the page shell and the CloudEvents binding of the kit alone.
"""
