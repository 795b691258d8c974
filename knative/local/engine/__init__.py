"""The running engine: `python -m knative serve`, the route, status, console and the broker's endpoints.

It imports every other package of the engine but the simulation; nothing imports it.
"""
