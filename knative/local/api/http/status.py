"""Errors of the API as Kubernetes' `Status` objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from knative.local.api.definitions import Kind
from knative.local.jsontypes import JsonMapping, JsonObject

Object = JsonObject


class StatusError(Exception):
    """A request that is answered with a `Status` of failure.

    Attributes:
        code: the HTTP status.
        reason: Kubernetes' word for the error.
        details: what the `Status` says of the object.
        headers: headers of the response.
    """

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: JsonMapping | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.details = dict(details or {})
        self.headers = dict(headers or {})

    def status(self) -> Object:
        """Return the `Status` object."""
        found: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        found |= {"message": str(self), "reason": self.reason}
        if self.details:
            found["details"] = self.details
        return {**found, "code": self.code}


def details(kind: Kind, name: str = "", **more: Any) -> Object:
    """Return the details of a `Status` about an object or a resource."""
    found: Object = {"name": name} if name else {}
    found |= {"group": kind.group} if kind.group else {}
    return {**found, "kind": kind.plural, **more}


def success(kind: Kind, name: str, uid: str) -> Object:
    """Return the `Status` of an object that was deleted."""
    found: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    return {**found, "details": details(kind, name, uid=uid)}


def not_found(kind: Kind, name: str) -> StatusError:
    """No object has this name."""
    return StatusError(404, "NotFound", f'{kind.resource} "{name}" not found', details(kind, name))


def no_such_path() -> StatusError:
    """The path names nothing of this API."""
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(kind: Kind, name: str) -> StatusError:
    """An object of this name exists."""
    return StatusError(409, "AlreadyExists", f'{kind.resource} "{name}" already exists', details(kind, name))


def conflict(kind: Kind, name: str, message: str) -> StatusError:
    """The stored object is not the one that the request was made for."""
    return StatusError(409, "Conflict", message, details(kind, name))


def bad_request(message: str) -> StatusError:
    """The request cannot be read, or a webhook refuses the object."""
    return StatusError(400, "BadRequest", message)


def forbidden(kind: Kind, name: str, message: str) -> StatusError:
    """The request is understood and refused."""
    return StatusError(403, "Forbidden", f'{kind.resource} "{name}" is forbidden: {message}', details(kind, name))


def invalid(kind: Kind, name: str, field: str, reason: str, message: str) -> StatusError:
    """A field of the object has a value that is not allowed."""
    group = f".{kind.group}" if kind.group else ""
    causes = [{"reason": reason, "message": message, "field": field}]
    found: Object = {"name": name, "group": kind.group, "kind": kind.name, "causes": causes}
    text = f'{kind.name}{group} "{name}" is invalid: {field}: {message}'
    return StatusError(422, "Invalid", text, {key: value for key, value in found.items() if value})


def invalid_value(kind: Kind, name: str, field: str, messages: Sequence[str]) -> StatusError:
    """A field of the object has a value with these mistakes; several are listed in brackets, as in Kubernetes."""
    found = invalid(kind, name, field, "FieldValueInvalid", messages[0])
    if len(messages) == 1:
        return found
    head = str(found).partition(" is invalid: ")[0]
    causes = [{"reason": "FieldValueInvalid", "message": message, "field": field} for message in messages]
    listed = ", ".join(f"{field}: {message}" for message in messages)
    return StatusError(422, "Invalid", f"{head} is invalid: [{listed}]", {**found.details, "causes": causes})


def method_not_allowed(kind: Kind | None, verb: str) -> StatusError:
    """The resource has no such verb."""
    message = "the server does not allow this method on the requested resource"
    return StatusError(405, "MethodNotAllowed", message, details(kind, verb=verb) if kind is not None else {})


def expired(message: str) -> StatusError:
    """The version asked for is no longer kept."""
    return StatusError(410, "Expired", message)


def unsupported_media_type(accepted: str) -> StatusError:
    """The body is of a content type that is not accepted."""
    message = f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    return StatusError(415, "UnsupportedMediaType", message)


def not_acceptable(accepted: str) -> StatusError:
    """No media type that the client accepts can be made."""
    message = f"only the following media types are accepted: {accepted}"
    return StatusError(406, "NotAcceptable", message)


def too_large(limit: int, size: int | None = None) -> StatusError:
    """The body is larger than the limit."""
    found = f"; it has {size} bytes" if size is not None else ""
    message = f"Request entity too large: limit is {limit} bytes{found}; split the object"
    return StatusError(413, "RequestEntityTooLarge", message)


def unauthorized() -> StatusError:
    """The request has no valid token."""
    return StatusError(401, "Unauthorized", "Unauthorized", headers={"WWW-Authenticate": "Bearer"})
