"""Knative on one machine: activator, queue-proxy, autoscaler and broker."""
