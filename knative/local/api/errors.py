"""What the store refuses, in Kubernetes' words."""

from __future__ import annotations


class StoreError(Exception):
    """A request that the store refuses; the message is in Kubernetes' words."""


class NotFoundError(StoreError):
    """There is no such object."""

    def __init__(self, resource: str, name: str) -> None:
        super().__init__(f'{resource} "{name}" not found')


class AlreadyExistsError(StoreError):
    """An object of this name exists."""

    def __init__(self, resource: str, name: str) -> None:
        super().__init__(f'{resource} "{name}" already exists')


class ConflictError(StoreError):
    """The stored object is not the one that the request was made for."""

    def __init__(self, resource: str, name: str, reason: str) -> None:
        super().__init__(f'Operation cannot be fulfilled on {resource} "{name}": {reason}')


class GoneError(StoreError):
    """The changes since a version are no longer kept: list again, then watch from there."""

    def __init__(self, since: int, oldest: int) -> None:
        super().__init__(f"too old resource version: {since} ({oldest})")
