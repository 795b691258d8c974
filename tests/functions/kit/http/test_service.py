import gzip
import json
import re

import pytest

from tests.functions.kit.http.test_uploads import form


def test_paths_with_and_without_the_functions_name(echo):
    client = echo()
    for path in ("/", "/echo", "/echo/", "/old-name", "/echo/old-name"):
        assert client.post(path, data=b"abc").get_json()["bytes"] == 3, path
    assert client.post("/nothing-here", data=b"abc").status_code == 404
    assert client.post("/echoes", data=b"abc").status_code == 404


def test_a_browser_gets_the_page_and_anything_else_json(echo):
    client = echo()
    page = client.get("/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert page.content_type.startswith("text/html")
    assert b"hello" in page.data
    for accept in ("*/*", "application/json", None):
        answer = client.get("/echo", headers={"Accept": accept} if accept else {})
        assert answer.get_json()["function"] == "echo"


def test_the_page_allows_exactly_its_own_style_and_scripts(echo):
    page = echo().get("/", headers={"Accept": "text/html"})
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    text = page.get_data(as_text=True)
    assert len(re.findall(r"<script>", text)) == len(
        re.findall(r"sha256", policy.partition("script-src")[2].partition(";")[0])
    )
    assert not re.search(r"\son\w+=", text), "an inline event handler would be blocked"
    assert not re.search(r'\sstyle="', text), "an inline style would be blocked"
    assert not re.search(r'(src|href)="(https?:)?//', text), "nothing is loaded from elsewhere"


def test_a_form_posted_without_script_is_answered_as_a_page(echo):
    body, content_type = form(("image", "<b>.png", b"abc"))
    answer = echo().post("/", data=body, headers={"Content-Type": content_type, "Accept": "text/html,*/*;q=0.8"})
    assert answer.content_type.startswith("text/html")
    assert "&lt;b&gt;.png" in answer.get_data(as_text=True)


def test_negotiation(echo):
    client = echo()
    assert client.get("/negotiated").content_type.startswith("text/csv")
    assert client.get("/negotiated", headers={"Accept": "application/xml"}).content_type == "application/xml"
    refused = client.get("/negotiated", headers={"Accept": "image/png"})
    assert refused.status_code == 406
    assert refused.get_json()["offered"] == ["text/csv", "application/xml"]


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("application/xml; charset=utf-8", "application/xml"),
        ("text/csv; header=present; q=0.2, application/xml; version=1; q=0.9", "application/xml"),
        ("application/xml, */*", "application/xml"),
        ("application/*, text/csv;q=0.9", "application/xml"),
        ("text/csv;q=0, */*", "application/xml"),
        ("text/csv, application/xml", "text/csv"),
        ("*/*;q=0.1", "text/csv"),
    ],
)
def test_negotiation_goes_by_quality_then_by_nearness_and_by_no_parameter(echo, accept: str, content_type: str):
    answer = echo().get("/negotiated", headers={"Accept": accept})
    assert (answer.status_code, answer.mimetype) == (200, content_type)


def test_html_that_is_not_wanted_is_not_sent(echo):
    assert echo().get("/", headers={"Accept": "text/html;q=0"}).mimetype == "application/json"
    assert echo().get("/", headers={"Accept": "text/html;level=1"}).mimetype == "text/html"


def test_an_option_in_the_form_is_refused_by_name(echo):
    body, content_type = form(("image", "a.png", b"abc"), ("width", None, b"100"))
    refused = echo().post("/", data=body, headers={"Content-Type": content_type})
    assert refused.status_code == 400
    assert refused.get_json()["option"] == "width"
    assert "?width=" in refused.get_json()["detail"]


@pytest.mark.parametrize("coding", ["gzip", "br", "x-made-up", "identity, gzip"])
def test_a_coded_body_is_415_with_the_coding_that_is_read(echo, coding: str):
    refused = echo().post("/", data=gzip.compress(b"abc"), headers={"Content-Encoding": coding})
    assert refused.status_code == 415
    assert refused.headers["Accept-Encoding"] == "identity"
    assert coding in refused.get_json()["detail"]
    assert echo().post("/", data=b"abc", headers={"Content-Encoding": "identity"}).status_code == 200


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/", "GET, HEAD, POST, OPTIONS"),
        ("/echo", "GET, HEAD, POST, OPTIONS"),
        ("/files", "POST, OPTIONS"),
        ("/old-name", "POST, OPTIONS"),
        ("/stream", "GET, HEAD, OPTIONS"),
        ("/healthz", "GET, HEAD, OPTIONS"),
    ],
)
def test_options_and_refusals_name_the_same_methods_and_those_are_answered(echo, path: str, allowed: str):
    client = echo()
    asked = client.options(path, headers={"WebHook-Request-Origin": "broker.example"})
    assert (asked.status_code, asked.headers["Allow"]) == (204, allowed)
    assert asked.headers["WebHook-Allowed-Origin"] == "broker.example"
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE"):
        answer = client.open(path, method=method, data=b"abc" if method == "POST" else None)
        assert (answer.status_code == 405) == (method not in allowed.split(", ")), method
        if answer.status_code == 405:
            assert answer.headers["Allow"] == allowed


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "PUT"])
def test_a_path_that_is_not_there_is_404_by_every_method(echo, method: str):
    assert echo().open("/nothing-here", method=method).status_code == 404


def test_a_defect_is_named_by_its_request_and_shows_nothing(echo, capsys):
    answer = echo().post("/crash", data=b"x", headers={"X-Request-ID": "abc-1"})
    assert answer.status_code == 500
    assert "secret" not in answer.get_data(as_text=True)
    assert "abc-1" in answer.get_json()["detail"]
    assert "ZeroDivisionError" in capsys.readouterr().out


def test_a_stream_is_logged_at_its_end(echo, capsys):
    answer = echo(ECHO_LOG_FORMAT="json").get("/stream")
    assert answer.data == b"0\n1\n2\n"
    answer.close()
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["operation"] for line in said] == ["stream"]


def test_every_post_requires_the_token_if_one_is_set(echo):
    client = echo(ECHO_TOKEN="s3cret")
    refused = client.post("/", data=b"abc")
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert client.post("/", data=b"abc", headers={"Authorization": "Bearer s3creT"}).status_code == 401
    assert client.post("/", data=b"abc", headers={"Authorization": "Bearer é"}).status_code == 401
    assert client.post("/", data=b"abc", headers={"Authorization": "bearer s3cret"}).status_code == 200
    assert client.get("/").status_code == 200
    assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize("token", ["tök", "ключ", "voilà"])
def test_a_token_beyond_ascii_is_matched_by_the_bytes_that_a_terminal_sends(echo, token: str):
    client = echo(ECHO_TOKEN=token)
    as_wsgi_shows_it = token.encode().decode("latin-1")
    given = client.post("/", data=b"abc", environ_overrides={"HTTP_AUTHORIZATION": f"Bearer {as_wsgi_shows_it}"})
    assert given.status_code == 200
    wrong = client.post("/", data=b"abc", environ_overrides={"HTTP_AUTHORIZATION": f"Bearer {as_wsgi_shows_it}x"})
    assert wrong.status_code == 401


def test_cors_is_off_unless_the_origin_is_listed(echo):
    client = echo()
    assert (
        "Access-Control-Allow-Origin"
        not in client.post("/", data=b"1", headers={"Origin": "https://a.example"}).headers
    )
    client = echo(ECHO_CORS_ORIGINS="https://a.example")
    listed = client.post("/", data=b"1", headers={"Origin": "https://a.example"})
    assert listed.headers["Access-Control-Allow-Origin"] == "https://a.example"
    other = client.post("/", data=b"1", headers={"Origin": "https://b.example"})
    assert "Access-Control-Allow-Origin" not in other.headers
    preflight = client.options("/", headers={"Origin": "https://a.example", "Access-Control-Request-Method": "POST"})
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert "If-None-Match" in preflight.headers["Access-Control-Allow-Headers"].split(", ")
    for path in ("/openapi.json", "/healthz", "/nothing-here"):
        answer = client.get(path, headers={"Origin": "https://a.example"})
        assert answer.headers["Access-Control-Allow-Origin"] == "https://a.example", path
        shown = answer.headers["Access-Control-Expose-Headers"].split(", ")
        assert {"X-Request-ID", "X-Warning", "Content-Disposition", "Retry-After", "ETag"} <= set(shown)


def test_wrong_settings_under_the_frameworks_cli_are_reported(echo):
    answer = echo(ECHO_MAX_BYTES="lots").post("/", data=b"abc")
    assert answer.status_code == 503
    assert "ECHO_MAX_BYTES" in answer.get_json(force=True)["detail"]


def test_only_the_first_request_of_a_pod_is_a_cold_start(echo):
    client = echo()
    assert "X-Cold-Start" not in client.get("/readyz").headers
    assert client.post("/", data=b"abc").headers["X-Cold-Start"] == "1"
    assert "X-Cold-Start" not in client.post("/", data=b"abc").headers


@pytest.mark.parametrize("path", ["/robots.txt", "/favicon.ico"])
def test_the_frameworks_own_answers_are_404(echo, path):
    assert echo().get(path).status_code == 404
