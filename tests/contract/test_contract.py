"""The contract: paths, methods, health, headers, problems. A function is done when this passes."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable

import pytest

from tests.conftest import FUNCTIONS
from tests.contract.conftest import Subject
from tests.contract.exchanges import form, problem, still_serves
from tests.schemas import check_openapi


def test_it_answers_at_the_root_and_below_its_name(subject: Subject):
    path, body = subject.work
    for prefix in ("", f"/{subject.name}"):
        answer = subject.ask("POST", (prefix + path).replace("//", "/"), body)
        assert answer.status == 200, answer.body
        assert answer.body


@pytest.mark.parametrize("prefix", ["", "/name"])
@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/health/liveness", "/health/readiness"])
def test_it_says_that_it_is_well(subject: Subject, path: str, prefix: str):
    answer = subject.ask("GET", prefix.replace("name", subject.name) + path)
    assert answer.status == 200


def test_get_is_the_page_for_a_browser_and_json_for_anything_else(subject: Subject):
    page = subject.ask("GET", "/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert page.headers["Content-Type"].startswith("text/html")
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    described = subject.ask("GET", f"/{subject.name}").json()
    assert described["function"] == subject.name
    assert {"method", "path", "summary"} <= set(described["operations"][0])


def test_head_is_get_without_a_body(subject: Subject):
    answer = subject.ask("HEAD", "/")
    assert answer.status == 200
    assert answer.body == b""


def test_metrics_are_prometheus_text(subject: Subject):
    path, body = subject.work
    subject.ask("POST", path, body)
    text = subject.ask("GET", "/metrics").body.decode()
    assert f'pixelamp_requests_total{{function="{subject.name}",' in text


def test_openapi_is_valid_and_names_every_operation(subject: Subject):
    document = subject.ask("GET", "/openapi.json").json()
    check_openapi(json.dumps(document, sort_keys=True))
    described = subject.ask("GET", "/").json()
    for operation in described["operations"]:
        assert operation["method"].lower() in document["paths"][operation["path"]]


def test_every_answer_says_who_gave_it_and_is_safe_to_show(subject: Subject):
    path, body = subject.work
    for answer in (
        subject.ask("POST", path, body),
        subject.ask("GET", "/"),
        subject.ask("GET", "/healthz"),
        subject.ask("GET", "/no-such-path"),
        subject.ask("POST", "/?no-such-option=1", body),
    ):
        for header in ("X-Request-ID", "X-Pod-Name", "X-Revision", "Server-Timing", "Content-Security-Policy"):
            assert answer.headers.get(header), header
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"


def test_a_valid_request_id_is_kept_and_any_other_replaced(subject: Subject):
    assert subject.ask("GET", "/", headers={"X-Request-ID": "abc-123"}).headers["X-Request-ID"] == "abc-123"
    assert subject.ask("GET", "/", headers={"X-Request-ID": "a b\tc"}).headers["X-Request-ID"] != "a b\tc"


def test_the_type_of_a_problem_is_an_address_that_explains_it(subject: Subject):
    kind = problem(subject.ask("POST", "/?no-such-option=1", subject.work[1]), 400)["type"]
    described = subject.ask("GET", kind, headers={"Accept": "application/json"})
    assert (described.status, described.json()["type"]) == (200, kind)
    assert {"title", "status", "meaning", "way_out"} <= set(described.json())
    page = subject.ask("GET", f"/{subject.name}{kind}", headers={"Accept": "text/html"})
    assert page.headers["Content-Type"].startswith("text/html")
    assert described.json()["meaning"] in page.body.decode()
    assert kind in subject.ask("GET", "/problems").json()


def test_a_limit_is_described_with_its_value_and_how_to_raise_it(subject: Subject):
    said = subject.ask("GET", "/problems/too-many-bytes").json()
    variable = f"{subject.name.upper()}_MAX_BYTES"
    assert said["limits"][variable] == 300_000
    assert said["to_raise_it"] == {
        "on this machine": f"{variable}=… make serve",
        "on a cluster": f"kn service update {subject.name} --env {variable}=…",
    }


def test_an_unknown_type_of_problem_is_404(subject: Subject):
    problem(subject.ask("GET", "/problems/no-such-type"), 404)


def test_the_api_viewer_comes_from_the_function_itself(subject: Subject):
    page = subject.ask("GET", "/docs", headers={"Accept": "text/html"})
    assert page.status == 200
    assert "script-src 'self' 'sha256-" in page.headers["Content-Security-Policy"]
    for file, kind in {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}.items():
        small = subject.ask("GET", f"/{subject.name}/docs/{file}", headers={"Accept-Encoding": "gzip"})
        plain = subject.ask("GET", f"/docs/{file}", headers={"Accept-Encoding": "identity"})
        assert small.headers["Content-Encoding"] == "gzip"
        assert "Content-Encoding" not in plain.headers
        assert small.headers["Content-Type"].startswith(kind)
        # Some clients decompress.
        assert plain.body in {small.body, gzip.decompress(small.body) if small.body[:2] == b"\x1f\x8b" else small.body}
    assert subject.ask("GET", "/docs/../main.py").status == 404


def test_an_unknown_path_is_404(subject: Subject):
    problem(subject.ask("POST", "/no-such-path", b"x"), 404)
    still_serves(subject)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE"])
def test_a_wrong_method_is_405_with_those_allowed(subject: Subject, method: str):
    answer = subject.ask(method, "/")
    problem(answer, 405)
    assert "POST" in answer.headers["Allow"]
    still_serves(subject)


def test_options_names_the_methods(subject: Subject):
    answer = subject.ask("OPTIONS", "/")
    assert answer.status == 204
    assert {"GET", "POST", "OPTIONS"} <= set(answer.headers["Allow"].split(", "))
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_head_and_options_of_every_operation_agree(subject: Subject):
    for operation in subject.ask("GET", "/").json()["operations"]:
        allowed = subject.ask("OPTIONS", operation["path"]).headers["Allow"].split(", ")
        assert operation["method"] in allowed
        refused = subject.ask("PUT", operation["path"])
        assert refused.headers["Allow"].split(", ") == allowed
        # HEAD is GET: a stream would last as long as it is asked for.
        if "HEAD" not in allowed:
            assert subject.ask("HEAD", operation["path"]).status == 405
    problem(subject.ask("OPTIONS", "/no-such-path"), 404)


@pytest.mark.parametrize("path", ["/favicon.ico", "/robots.txt", "/a%0Ab", "/a//b"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_path_is_answered_past_the_function(function: str, path: str, reach: Callable[[str, str], Subject]):
    answer = reach(function, "server").ask("GET", path)
    problem(answer, 404)
    for header in ("X-Request-ID", "X-Pod-Name", "X-Revision", "Server-Timing", "Content-Security-Policy"):
        assert answer.headers.get(header), header


def test_json_with_a_parameter_is_json(result_subject: Subject):
    path, body = result_subject.work
    answer = result_subject.ask("POST", path, body, {"Accept": "application/json; charset=utf-8"})
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"] == "application/json"


def test_a_compressed_body_is_415_with_what_is_read(subject: Subject):
    path, body = subject.work
    answer = subject.ask("POST", path, gzip.compress(body), {"Content-Encoding": "gzip"})
    assert "gzip" in problem(answer, 415)["detail"]
    assert answer.headers["Accept-Encoding"] == "identity"
    still_serves(subject)


def test_an_option_as_a_field_of_the_form_is_400_by_name(image_subject: Subject):
    option = next(iter(image_subject.ask("GET", "/").json()["operations"][0]["options"]), None)
    if option is None:
        pytest.skip(f"{image_subject.name} has no options")
    body, headers = form("file", image_subject.work[1])
    extra = f'--xYz\r\nContent-Disposition: form-data; name="{option}"\r\n\r\n1\r\n'.encode()
    said = problem(image_subject.ask("POST", "/", extra + body, headers), 400)
    assert said["option"] == option
    assert f"?{option}=" in said["detail"]
    other = extra.replace(f'"{option}"'.encode(), b'"submit"')
    assert image_subject.ask("POST", "/", other + body, headers).status == 200


def test_a_file_name_in_another_code_page_is_read(image_subject: Subject):
    body, headers = form("file", image_subject.work[1], "Ubung.jpg")
    answer = image_subject.ask("POST", "/", body.replace(b"Ubung", b"\xdcbung"), headers)
    assert answer.status == 200, answer.body


def test_parameters_named_twice_are_400(json_subject: Subject):
    name = next(iter(json_subject.function.work.example))
    said = problem(json_subject.ask("POST", "/", f'{{"{name}": 0.01, "{name}": 0.02}}'.encode()), 400)
    assert repr(name) in said["detail"]


def test_a_misspelt_option_is_400_by_name(subject: Subject):
    _, body = subject.work
    assert problem(subject.ask("POST", "/?no-such-option=1", body), 400)["option"] == "no-such-option"


def test_the_answer_is_json_that_any_parser_reads(result_subject: Subject):
    path, body = result_subject.work
    answer = result_subject.ask("POST", path, body)
    json.loads(answer.body, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
