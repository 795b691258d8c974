"""The decisions of the Knative Pod Autoscaler: metrics, windows, desired scale, and the steps to zero.

Pure, with the clock as an argument; it imports `manifests` alone.
"""
