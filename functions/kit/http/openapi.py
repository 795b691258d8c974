"""openapi.json of a function, generated from its routes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from functions.kit.http.function import JSON
from functions.kit.http.problems import MEDIA_TYPE

if TYPE_CHECKING:
    from functions.kit.http.function import AnyFunction, AnyRoute
    from functions.kit.http.settings import Settings

_STATUSES = {
    "400": "malformed request or option",
    "406": "none of the accepted media types is offered",
    "408": "the body did not arrive in time",
    "413": "too many bytes or pixels",
    "414": "target too long",
    "415": "a known format or a content coding that is not accepted",
    "422": "not a readable image",
    "429": "too many concurrent requests; see Retry-After",
    "431": "request header fields too large",
    "503": "overloaded; see Retry-After",
}


def document(function: AnyFunction, settings: Settings, version: str) -> dict[str, object]:
    """The OpenAPI 3.1 description of a function.

    Args:
        function: its table of routes.
        settings: limits for the description.
        version: version of the project.
    """
    paths: dict[str, dict[str, object]] = {}
    for route in function.routes:
        for path in (route.path, *route.aliases):
            for full in dict.fromkeys((path, f"/{function.name}{path}".rstrip("/"))):
                paths.setdefault(full, {})[route.method.lower()] = _operation(function, route, settings, full)
    for path, summary in (("/healthz", "Liveness"), ("/readyz", "Readiness"), ("/metrics", "Metrics for Prometheus")):
        paths[path] = {"get": {"tags": ["health"], "summary": summary, "responses": {"200": {"description": summary}}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": f"Pixelamp {function.name}", "summary": function.summary, "version": version},
        "paths": paths,
        "components": {
            "schemas": {
                "Problem": {
                    "type": "object",
                    "required": ["type", "title", "status", "detail"],
                    "properties": {
                        "type": {"type": "string", "format": "uri-reference"},
                        "title": {"type": "string"},
                        "status": {"type": "integer"},
                        "detail": {"type": "string"},
                        "instance": {"type": "string"},
                    },
                },
                **(json.loads(function.schemas.read_text(encoding="utf-8")) if function.schemas else {}),
            },
            **({"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}} if settings.token else {}),
        },
        **({"security": [{"token": []}]} if settings.token else {}),
    }


def _operation(function: AnyFunction, route: AnyRoute, settings: Settings, path: str) -> dict[str, object]:
    operation: dict[str, object] = {
        "summary": route.summary,
        "operationId": f"{route.method.lower()}_{path.strip('/').replace('/', '_').replace('-', '_') or 'root'}",
        "tags": [function.name],
        "parameters": [
            {
                "name": option.name,
                "in": "query",
                "required": False,
                "description": option.help,
                "schema": {**option.kind.schema, **_default(option.default)},
            }
            for option in route.options
        ],
        "responses": {
            "200": {
                "description": "the result",
                "content": {media_type: _answer(route, media_type) for media_type in route.produces},
            },
            **{
                status: {
                    "description": meaning,
                    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
                for status, meaning in _STATUSES.items()
            },
        },
    }
    body = _body(route, settings)
    if body:
        operation["requestBody"] = body
    return operation


def _answer(route: AnyRoute, media_type: str) -> dict[str, object]:
    if media_type != JSON or not route.answers:
        return {}
    return {"schema": {"$ref": f"#/components/schemas/{route.answers}"}}


def _default(value: object) -> dict[str, object]:
    if value is None or value == ():
        return {}
    return {"default": ",".join(value) if isinstance(value, tuple) else value}


def _body(route: AnyRoute, settings: Settings) -> dict[str, object] | None:
    if route.takes == "json":
        return {"required": False, "content": {"application/json": {"schema": {"type": "object"}}}}
    if route.takes not in ("image", "images"):
        return None
    file = {"type": "string", "format": "binary"}
    field: Mapping[str, object] = {"type": "array", "items": file} if route.takes == "images" else file
    return {
        "required": True,
        "description": f"at most {settings.max_bytes:,} bytes",
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "required": ["file"], "properties": {"file": field}},
            },
            "image/*": {"schema": file},
            "application/octet-stream": {"schema": file},
        },
    }
