"""Expressions of CloudEvents SQL: parsing, and evaluation against an event's attributes.

Imported by `check` and `eventing`; it imports nothing of the engine.
"""
