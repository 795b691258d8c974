"""How a program of a pod is asked whether it is ready or alive: by HTTP, TCP, gRPC or a command.

The rest of `pods` imports it.
"""
