"""Responses of the engine's own endpoints, such as its console and its broker: problem details for every error."""

from __future__ import annotations

from aiohttp import web

from functions.kit.http.problems import MEDIA_TYPE, Problem

HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def problem_response(problem: Problem) -> web.Response:
    """Return a problem as an HTTP response."""
    return web.Response(
        body=problem.encode(), status=problem.status, content_type=MEDIA_TYPE, headers={**HEADERS, **problem.headers}
    )
