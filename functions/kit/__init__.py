"""The packages that all functions share: server, HTTP, events, pictures, telemetry and the page.

The functions import it; it imports no function.
"""
