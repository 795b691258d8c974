"""Requests and responses: dispatch, routes, options, uploads, settings, problem details and openapi.json.

Functions and the other packages of the kit import it.
"""
