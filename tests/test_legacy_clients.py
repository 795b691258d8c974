"""The clients of the two projects that this one replaces, as they were written, against real servers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.images import encoded, gradient
from tests.servers import FunctionServer, clean_environment
from tests.waiting import eventually

# multipart.lua of Upgraded Octo Lamp: wrk sends one multipart form with the field `file`.
MULTIPART_LUA = """
function read_file(path)
  local file = io.open(path, "rb")
  local content = file:read("*a")
  file:close()
  return content
end
local boundary = "----WebKitFormBoundaryePkpFF7tjBAqx29L"
local body = "--" .. boundary .. "\\r\\n" ..
  'Content-Disposition: form-data; name="file"; filename="image.png"\\r\\n' ..
  "Content-Type: image/png\\r\\n\\r\\n" .. read_file("IMAGE") .. "\\r\\n--" .. boundary .. "--\\r\\n"
wrk.method = "POST"
wrk.headers["Content-Type"] = "multipart/form-data; boundary=" .. boundary
wrk.body = body
done = function(summary, latency, requests)
  io.write("answered=" .. summary.requests .. " refused=" .. summary.errors.status .. "\\n")
end
"""

# PixelScan's Locust file: POST / with the multipart field `image`, one to two seconds between uploads.
LOCUSTFILE = """
from locust import HttpUser, between, task

class User(HttpUser):
    wait_time = between(0.1, 0.2)

    @task
    def upload(self):
        with open("IMAGE", "rb") as image:
            self.client.post("/", files={"image": image})
"""


def totals(table: Path) -> tuple[int, int]:
    """Requests and failures in the last line of the table that Locust writes each second."""
    rows = table.read_text().splitlines() if table.exists() else []
    fields = rows[-1].split(",") if len(rows) > 1 else []
    return (int(fields[2]), int(fields[3])) if len(fields) > 3 else (0, 0)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.png"
    path.write_bytes(encoded(gradient("L", (512, 512)), "PNG"))
    return path


@pytest.mark.parametrize("path", ["/process-image", "/histogram/process-image"])
def test_octo_lamps_client_reads_256_numbers(servers: Callable[..., FunctionServer], image: Path, path: str):
    url = servers("histogram").url + path
    with image.open("rb") as file:
        response = requests.post(url, files={"file": (image.name, file, "image/png")}, timeout=30)
    assert response.status_code == 200
    histogram = response.json()["histogram"]
    assert len(histogram) == 256
    assert all(isinstance(count, int) for count in histogram)
    assert sum(histogram) == 512 * 512


def test_octo_lamps_wrk_script_is_answered_every_time(
    servers: Callable[..., FunctionServer], program: Callable[[str], str], image: Path, tmp_path: Path
):
    script = tmp_path / "multipart.lua"
    script.write_text(MULTIPART_LUA.replace("IMAGE", str(image)))
    url = servers("histogram").url + "/process-image"
    ended = subprocess.run(
        [program("wrk"), "-t1", "-c2", "-d1s", "-s", str(script), url], capture_output=True, text=True, timeout=30
    )
    answered, refused = (int(word.partition("=")[2]) for word in ended.stdout.split()[-2:])
    assert answered > 0
    assert refused == 0


def test_pixelscans_upload_is_answered_in_json_and_a_browsers_form_in_html(
    servers: Callable[..., FunctionServer], image: Path
):
    server = servers("exif")
    upload = server.post("/", files={"image": image.read_bytes()})
    assert upload.status_code == 200
    assert upload.headers["Content-Type"] == "application/json"
    page = server.post("/", files={"image": image.read_bytes()}, headers={"Accept": "text/html,*/*;q=0.8"})
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")


def test_pixelscans_locust_file_runs_without_a_failure(
    servers: Callable[..., FunctionServer], image: Path, tmp_path: Path
):
    locustfile = tmp_path / "locustfile.py"
    locustfile.write_text(LOCUSTFILE.replace("IMAGE", str(image)))
    command = [
        *(sys.executable, "-m", "locust", "-f", str(locustfile), "--headless", "--host", servers("exif").url),
        *("-u", "2", "-r", "2", "--stop-timeout", "30", "--only-summary", "--csv", str(tmp_path / "out")),
    ]
    locust = subprocess.Popen(command, cwd=tmp_path, env=clean_environment(), stderr=subprocess.PIPE, text=True)
    table = tmp_path / "out_stats.csv"
    try:
        assert eventually(lambda: totals(table)[0] > 0, 60)
    finally:
        locust.terminate()
        errors = locust.communicate(timeout=60)[1]
    assert locust.returncode == 0, errors
    assert totals(table)[1] == 0


def test_pixelscans_page_reads_cpu_and_starts_a_burn(servers: Callable[..., FunctionServer]):
    server = servers("stress")
    cpu = server.get("/cpu")
    assert cpu.status_code == 200
    assert cpu.json()["cpu"] >= 0
    started = server.post("/start-cpu-burn")
    assert started.status_code == 200
    assert started.json()["status"]
