"""The names of libraries that the server uses although they are private: each is still there.

A failure means that an upgrade renamed one. Adapt `functions/kit/server`, or lower the bound in pyproject.toml.
"""

from __future__ import annotations

import inspect
import re
import tomllib
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

import pytest
from functions_framework import create_app
from gunicorn.config import KNOWN_SETTINGS
from gunicorn.http.unreader import SocketUnreader, Unreader
from gunicorn.workers import gthread
from packaging.requirements import Requirement
from werkzeug.wrappers import Request

from functions.kit.server import application, gunicorn_worker
from tests.servers import ROOT

# Methods that we override or call, with their parameters.
METHODS = {
    (gthread.ThreadWorker, "enqueue_req"): ["self", "conn"],
    (gthread.ThreadWorker, "murder_pending"): ["self"],
    (gthread.ThreadWorker, "notify"): ["self"],
    (gthread.ThreadWorker, "handle"): ["self", "conn"],
    (gthread.ThreadWorker, "handle_error"): ["self", "req", "client", "addr", "exc"],
    (gthread.ThreadWorker, "handle_exit"): ["self", "sig", "frame"],
    (gthread.ThreadWorker, "on_client_socket_readable"): ["self", "conn", "client"],
    (gthread.ThreadWorker, "on_pending_socket_readable"): ["self", "conn", "client"],
    (gthread.TConn, "set_timeout"): ["self"],
    (gthread.TConn, "close"): ["self", "graceful"],
    (gthread.PollableMethodQueue, "defer"): ["self", "callback", "args"],
}
# Attributes that we read or write.
ATTRIBUTES = {
    gthread.ThreadWorker: ["method_queue", "pending_conns", "keepalived_conns", "nr_conns", "tpool", "poller"],
    gthread.TConn: ["sock", "parser", "timeout", "data_ready"],
    Unreader: ["buf"],
    ThreadPoolExecutor: ["_work_queue"],
}


def sentence(library: str, name: str) -> str:
    return f"{library} {version(library)} has no {name} as functions/kit/server uses it: adapt it, or lower the bound"


@pytest.mark.parametrize(("cls", "name"), METHODS, ids=lambda part: getattr(part, "__name__", part))
def test_a_method_is_there_with_its_parameters(cls: type, name: str):
    method = getattr(cls, name, None)
    found = list(inspect.signature(method).parameters) if method else None
    assert found == METHODS[cls, name], sentence("gunicorn", f"{cls.__name__}.{name}{tuple(METHODS[cls, name])}")


@pytest.mark.parametrize("cls", ATTRIBUTES, ids=lambda cls: cls.__name__)
def test_an_attribute_is_there(cls: type):
    source = "".join(inspect.getsource(base) for base in cls.__mro__[:-1])
    for name in ATTRIBUTES[cls]:
        assert re.search(rf"\bself\.{name}\b", source), sentence("gunicorn", f"{cls.__name__}.{name}")


def test_a_parser_reads_through_an_unreader():
    assert "SocketUnreader" in inspect.getsource(gthread.http.get_parser) or hasattr(SocketUnreader, "unread")
    assert inspect.signature(Unreader.unread)
    assert gthread.STOP_KEEPALIVE_LINGER > 0


def test_the_settings_that_we_set_are_known():
    known = {setting.name for setting in KNOWN_SETTINGS}
    named = set(
        re.findall(r'^            "(\w+)":', inspect.getsource(application.Application.load_config), re.MULTILINE)
    )
    assert len(named) > 8
    assert named <= known, sentence("gunicorn", f"setting {', '.join(named - known)}")


def test_every_refusal_is_an_error_of_the_parser():
    for kind, *_ in gunicorn_worker.REFUSALS:
        assert issubclass(kind, Exception)


def test_the_framework_serves_every_path_by_one_view():
    app = create_app("stress", str(ROOT / "functions/stress/main.py"), "http")
    assert "run" in app.view_functions, sentence("functions-framework", "view `run`")


def test_a_request_keeps_its_stream_in_its_dictionary():
    assert "stream" in vars(Request), sentence("werkzeug", "cached property Request.stream")
    assert type(vars(Request)["stream"]).__name__ == "cached_property", sentence("werkzeug", "cached Request.stream")


@pytest.mark.parametrize("library", ["gunicorn", "functions-framework", "flask"])
def test_a_library_whose_private_names_are_used_has_an_upper_bound(library: str):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (requirement,) = [
        one for one in map(Requirement, project["optional-dependencies"]["functions"]) if one.name == library
    ]
    assert any(bound.operator == "<" for bound in requirement.specifier)
