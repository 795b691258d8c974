"""The bare function that cold starts are compared with, run by `python -m functions_framework --source`."""


def hello(_request: object) -> str:
    """Answer a greeting."""
    return "hello"
