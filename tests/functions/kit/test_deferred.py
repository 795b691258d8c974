"""Modules that a cold start does not import: absent until they are used, and whole when they are."""

from __future__ import annotations

import subprocess
import sys

import pytest

from functions import registry
from functions.kit.deferred import Later, deferred
from tests.servers import ROOT, clean_environment

HEAVY = ("click", "http.server", "importlib.metadata", "jinja2", "urllib.request", "werkzeug.formparser")
ASK = """
import io, sys
from functools import partial
from functions.kit.server.application import Application, build
app, service = build({name!r})
answer = Application(app, service, "127.0.0.1:0").load()
def ask(method, path, body=b""):
    environ = {{"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": "", "SERVER_NAME": "x", "SERVER_PORT": "1",
               "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "x", "wsgi.input": io.BytesIO(body),
               "wsgi.url_scheme": "http", "CONTENT_LENGTH": str(len(body)), "wsgi.errors": sys.stderr}}
    statuses = []
    parts = answer(environ, lambda status, headers: statuses.append(status))
    body = b"".join(parts)
    parts.close()
    return statuses[0], body
"""


def run(program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", registry.names())
def test_neither_readiness_nor_a_first_request_imports_what_it_does_not_use(name: str):
    program = ASK.format(name=name) + (
        "assert ask('GET', '/readyz')[0] == '200 OK'\n"
        "ask('POST', '/', b'GIF89a')\n"
        f"print(*(one for one in {HEAVY!r} if one in sys.modules))\n"
    )
    assert run(program)[-1] == ""


def test_what_was_put_off_works_when_it_is_used():
    program = ASK.format(name="stress") + (
        "import flask, werkzeug, functions_framework\n"
        "with app.app_context():\n"
        "    print(flask.render_template_string('{{ 6 * 7 }}'))\n"
        "print(app.test_client().get('/healthz').status_code)\n"
        "print(werkzeug.serving.is_running_from_reloader())\n"
        "print(functions_framework.CloudEvent({'type': 't', 'source': 's'})['type'])\n"
        "from werkzeug.wrappers import Request\n"
        "form = b'--b\\r\\nContent-Disposition: form-data; name=\"a\"\\r\\n\\r\\n7\\r\\n--b--\\r\\n'\n"
        "environ = {'REQUEST_METHOD': 'POST', 'CONTENT_TYPE': 'multipart/form-data; boundary=b',\n"
        "           'CONTENT_LENGTH': str(len(form)), 'wsgi.input': io.BytesIO(form)}\n"
        "print(Request(environ).form['a'])\n"
        "print('pixelamp_build_info' in ask('GET', '/metrics')[1].decode())\n"
        "import logging.config, importlib.metadata\n"
        "print(importlib.metadata.version('flask') > '3', callable(logging.config.dictConfig))\n"
    )
    assert run(program)[-7:] == ["42", "200", "False", "t", "7", "True", "True True"]


def test_a_module_that_is_loaded_stays():
    with deferred("json"):
        import json
    assert json.loads("[1]") == [1]


def test_names_taken_inside_the_block_are_found_at_their_use(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with deferred("colorsys"):
        import colorsys as inside
        from colorsys import rgb_to_hsv
    assert isinstance(rgb_to_hsv, Later)
    assert "colorsys" not in sys.modules
    assert rgb_to_hsv(1.0, 0.0, 0.0) == inside.rgb_to_hsv(1.0, 0.0, 0.0) == (0.0, 1.0, 1.0)
    import colorsys

    assert colorsys.rgb_to_hsv.__module__ == "colorsys"
    with pytest.raises(AttributeError):
        _ = rgb_to_hsv.__wrapped__
