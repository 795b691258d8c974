"""Pages: the shell with a fragment of markup, style and script, as one self-contained document.

A page loads no other resource: the Content-Security-Policy allows its inline style and scripts by their hashes. A
fragment therefore has no inline event handlers and no style attributes.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

_HERE = Path(__file__).parent
_STYLE = re.compile(r"<style>(.*?)</style>\s*", re.DOTALL)
_PROBLEM = re.compile(r"/problems/[a-z-]+")
_SCRIPT = re.compile(r"<script>(.*?)</script>\s*", re.DOTALL)

_FORM = (
    '<form class="row" method="post" enctype="multipart/form-data"><label>Or here: '
    '<input type="file" name="file" required></label><button class="primary">Send</button></form>'
)

Document = tuple[bytes, str]
"""The UTF-8 bytes of a page, and its Content-Security-Policy."""


SAMPLE = _HERE / "sample.jpg"
"""A picture made for the project, with invented camera, person and place in its metadata."""
HOME = "home"
"""Name of the landing page in the navigation."""
_LANDING = "Histogram, metadata and load, as functions that run when they are called."


# Files of the viewer of openapi.json, compressed, with their media types; `viewer/SOURCE` says what they are.
VIEWER = {
    "swagger-ui-bundle.js": ("swagger-ui-bundle.js", "text/javascript"),
    "swagger-ui.css": ("swagger-ui.css", "text/css"),
}


@cache
def viewer_file(name: str) -> bytes:
    """A file of the viewer as gzip."""
    return (_HERE / "viewer" / f"{name}.gz").read_bytes()


def docs(name: str, links: tuple[str, ...]) -> Document:
    """The page that shows the openapi.json of a function in Swagger UI, from files of this server alone."""
    body, policy = page(
        name, "API description: each path, its options, limits and answers.", _HERE / "docs.html", links
    )
    # It draws its icons as data and sets styles by script, which a policy does not count.
    return body, policy.replace("style-src ", "style-src 'self' ").replace("script-src ", "script-src 'self' ")


def landing(links: tuple[str, ...]) -> Document:
    """The page in front of all functions, which shows what they answer about one picture.

    Args:
        links: names of the functions.
    """
    return page(HOME, _LANDING, _HERE / "landing.html", links)


@cache
def page(name: str, summary: str, fragment: Path, links: tuple[str, ...], takes: str = "nothing") -> Document:
    """Return the page of a function or of the console.

    Args:
        name: shown in the header and marked in the navigation.
        summary: one sentence below it.
        fragment: file with markup, and at most one plain `<style>` and one plain `<script>`.
        links: names of the functions in the navigation.
        takes: kind of body of a POST to the page's address, as `Route.takes`, for browsers without script.
    """
    text = fragment.read_text(encoding="utf-8")
    styles = [*_STYLE.findall(text)]
    scripts = [*_SCRIPT.findall(text)]
    markup = _SCRIPT.sub("", _STYLE.sub("", text))
    markup = (_without_script(takes) if scripts else "") + markup
    return _compose(name, summary, markup, links, "".join(styles), scripts)


def _without_script(takes: str) -> str:
    """A note for browsers without script: a command and, for a picture, a form that is answered with a page."""
    command, form = "curl", ""
    if takes in ("image", "images"):
        command = "curl --data-binary @photo.jpg"
        form = _FORM
    elif takes == "json":
        command = "curl -X POST"
    return (
        '<noscript><section class="card"><p>The buttons below need JavaScript. Without it, in a terminal: '
        f"<code>{command}</code> and the address of this page.</p>{form}</section></noscript>\n"
    )


def result(name: str, title: str, value: Mapping[str, object] | list[object], links: tuple[str, ...]) -> Document:
    """Return a JSON result as nested tables, for a browser that posted a form without script."""
    return _compose(name, title, f'<section class="card">{_table(value)}</section>', links, "", [])


def _table(value: object) -> str:
    if isinstance(value, Mapping) and value:
        cells = (f"<tr><th>{_table(key)}</th><td>{_table(item)}</td></tr>" for key, item in value.items())
        return f"<table>{''.join(cells)}</table>"
    if isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        return f"<ol>{''.join(f'<li>{_table(item)}</li>' for item in value)}</ol>"
    if isinstance(value, list):
        return html.escape(", ".join(map(str, value)))
    if isinstance(value, str) and _PROBLEM.fullmatch(value):
        shown = value.replace("/", "/<wbr>")  # a long address may break there
        return f'<a href="{value}">{shown}</a>'
    return "" if value is None else html.escape(str(value))


def _compose(name: str, summary: str, markup: str, links: tuple[str, ...], style: str, scripts: list[str]) -> Document:
    api = (
        f'<span> · <a href="/{html.escape(name)}/docs">API description</a></span>' if name in links and scripts else ""
    )
    sheet = _shell("shell.css") + style
    blocks = [_shell("shell.js"), *scripts]
    document = (
        _shell("shell.html")
        .replace("{{name}}", html.escape(name))
        .replace("{{heading}}", html.escape("Pixelamp" if name == HOME else name))
        .replace("{{summary}}", html.escape(summary))
        .replace("{{api}}", api)
        .replace("{{links}}", "".join(_link(name) for name in map(html.escape, links)))
        .replace("{{style}}", f"<style>{sheet}</style>")
        .replace("{{scripts}}", "\n".join(f"<script>{block}</script>" for block in blocks))
        # Last, so that braces in a result are not replaced.
        .replace("{{main}}", markup)
    )
    policy = "; ".join(
        [
            "default-src 'none'",
            f"style-src {_hash(sheet)}",
            f"script-src {' '.join(_hash(block) for block in blocks)}",
            "img-src 'self' data: blob:",
            "connect-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ]
    )
    return document.encode(), policy


def _link(name: str) -> str:
    return f'<a href="/{name}" data-function>{name}</a>'


@cache
def _shell(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
