"""The image, really built: size, contents, labels, and a function that answers from a read-only root as its own user.

No daemon and no image registry is needed: buildah builds in a chroot, on a base made by debootstrap into which the
Python of this machine is copied, and which is tagged as the FROM line names it.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from knative import images
from tests.images import encoded, gradient, png_of

ROOT = Path(__file__).resolve().parents[2]
BASE = "docker.io/library/python:3.13-slim"
METADATA = f"pixelamp-{version('pixelamp')}.dist-info"
STORE = Path(os.environ.get("PIXELAMP_IMAGE_STORE", "/var/tmp/pixelamp-images"))
LIMITS = {"stress": 22, "exif": 27, "histogram": 160, "loadtest": 300}  # MB over the base, bytecode included
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c4944415408d763f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)

builds = pytest.mark.skipif(
    not (shutil.which("buildah") and shutil.which("debootstrap") and os.geteuid() == 0),
    reason="buildah, debootstrap or root is missing: no image is built",
)


def buildah(*arguments, **options):
    command = ["buildah", "--root", str(STORE / "root"), "--runroot", str(STORE / "run"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout.strip()


@pytest.fixture(scope="module")
def base():
    """The base image; it stays in the store for the next run."""
    STORE.mkdir(parents=True, exist_ok=True)
    if BASE not in buildah("images", "--format", "{{.Name}}:{{.Tag}}").split():
        root = STORE / "debian"
        if not (root / "usr/bin/dpkg").exists() or not (root / "usr/local/bin/python").exists():
            shutil.rmtree(root, ignore_errors=True)
            copied = sys.base_prefix != "/usr"
            needed = "ca-certificates,libssl3,libffi8,libsqlite3-0,zlib1g,libbz2-1.0,liblzma5,libreadline8,libuuid1"
            include = f"--include={needed}{'' if copied else ',python3,python3-venv,python3-pip'}"
            subprocess.run(
                ["debootstrap", "--variant=minbase", include, release(), root], check=True, capture_output=True
            )
            (copy_python if copied else link_python)(root)
            shutil.rmtree(root / "var/cache/apt")
            shutil.rmtree(root / "var/lib/apt/lists")
        container = buildah("from", "scratch")
        buildah("add", container, str(root), "/")
        buildah("config", "--env", "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "--cmd", "python3", container)
        buildah("commit", "--rm", container, BASE)
    return BASE


def release():
    lines = Path("/etc/os-release").read_text().splitlines()
    return next(line.split("=")[1] for line in lines if line.startswith("VERSION_CODENAME="))


def copy_python(root):
    """Put this machine's Python where the official image has its own, without tests and bytecode, as that one is."""
    prefix, name = Path(sys.base_prefix), f"python{sys.version_info[0]}.{sys.version_info[1]}"
    target = root / "usr/local"
    shutil.copy2(prefix / "bin" / name, target / "bin" / name)
    for link in ("python3", "python"):
        (target / "bin" / link).symlink_to(name)
    for library in (prefix / "lib").glob("libpython*.so*"):
        shutil.copy2(library, target / "lib" / library.name, follow_symlinks=False)
    unwanted = shutil.ignore_patterns("test", "tests", "__pycache__", "site-packages", "config-*")
    shutil.copytree(prefix / "lib" / name, target / "lib" / name, ignore=unwanted)
    for package in (prefix / "lib" / name / "site-packages").glob("pip*"):
        shutil.copytree(
            package,
            target / "lib" / name / "site-packages" / package.name,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    subprocess.run(["chroot", root, "ldconfig"], check=True)


def link_python(root):
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")


@cache
def pip_configuration():
    """A pip.conf that says where this machine's pip finds packages, for the build alone."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True).stdout
    values = {}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        key = name.split(".")[-1]
        if key != "constraint":  # what the image installs is pinned, and a file of constraints is not inside the build
            values[key] = value.strip("'\"").replace(" ", "\n    ")
    STORE.mkdir(parents=True, exist_ok=True)
    path = STORE / "pip.conf"
    path.write_text("[global]\n" + "".join(f"{name} = {value}\n" for name, value in values.items()))
    local = {part.removeprefix("file://") for value in values.values() for part in value.split()}
    folders = {Path(part).parents[-2] for part in local if part.startswith("/") and Path(part).exists()}
    return path, sorted(folders - {Path("/etc")})


@pytest.fixture(scope="module")
def image(request, base):
    """A built image, mounted: function, root folder, what the image says of itself."""
    function = request.param
    name = images.reference("dev.local", function, "0.1.0")
    configuration, folders = pip_configuration()
    volumes = [f"{configuration}:/etc/pip.conf:ro", "/etc/ssl/certs:/etc/ssl/certs:ro"]
    volumes += [f"{folder}:{folder}:ro" for folder in folders]
    extra = ["--isolation", "chroot", "--pull-never", "--network", "host", "--layers=false"]
    extra += [part for volume in volumes for part in ("--volume", volume)]
    command = images.build_command("buildah", function, name, version="0.1.0", revision="0" * 40, extra=extra)
    buildah(*command[1:], cwd=ROOT)
    container = buildah("from", "--pull-never", name)
    try:
        described = json.loads(buildah("inspect", "--type", "image", name))
        yield function, Path(buildah("mount", container)), described
    finally:
        buildah("rm", container)
        buildah("rmi", described["FromImageID"])


FUNCTIONS = [
    pytest.param(function, marks=[pytest.mark.slow, pytest.mark.timeout(600)]) for function in images.FUNCTIONS
]
LOADTEST = pytest.param("loadtest", marks=[pytest.mark.slow, pytest.mark.timeout(600)])
each = pytest.mark.parametrize("image", FUNCTIONS, indirect=True)
every = pytest.mark.parametrize("image", [*FUNCTIONS, LOADTEST], indirect=True)


def size_of(name):
    return json.loads(buildah("images", "--json", name))[0]["size"]


def megabytes(text):
    number, unit = text.split()
    return float(number) * {"KB": 0.001, "MB": 1, "GB": 1000}[unit]


@builds
@each
def test_it_holds_its_function_and_little_else(image):
    function, root, _ = image
    held = sorted(path.name for path in (root / "app/functions").iterdir() if path.is_dir())
    assert [name for name in held if name != "__pycache__"] == sorted([function, "kit"])
    assert sorted(path.name for path in (root / "app").iterdir()) == kept_in_app(function)


def kept_in_app(function):
    plots = ["matplotlib"] if function == "histogram" else []
    return ["functions", *plots, METADATA]


@builds
@pytest.mark.parametrize("image", [LOADTEST], indirect=True)
def test_the_load_test_holds_no_function(image):
    _, root, _ = image
    held = sorted(path.name for path in (root / "app").iterdir())
    assert held == ["knative", "loadtest", "matplotlib", METADATA, "pyproject.toml"]
    parts = sorted(path.name for path in (root / "app/knative").iterdir())
    assert [name for name in parts if name != "__pycache__"] == ["__init__.py", "local"]


@builds
@every
def test_it_is_small(image):
    function, root, _ = image
    over = megabytes(size_of(images.reference("dev.local", function, "0.1.0"))) - megabytes(size_of(BASE))
    print(f"{function}: {over:.0f} MB over the base")
    assert 5 < over <= LIMITS[function]
    assert not list((root / "venv").glob("bin/pip*"))


@builds
@every
def test_every_module_has_its_bytecode(image):
    _, root, _ = image
    packages = next((root / "venv/lib").iterdir()) / "site-packages"
    sources = [path for folder in (root / "app", packages) for path in folder.rglob("*.py")]
    missing = [
        path.relative_to(root) for path in sources if not list((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"))
    ]
    assert len(sources) > 100
    assert missing == []


@builds
@every
def test_it_says_what_it_is(image):
    function, _, described = image
    config = described["Docker"]["config"]
    assert config["User"] == "65532:65532"
    assert config["WorkingDir"] == "/app"
    assert config["Labels"]["org.opencontainers.image.title"] == f"pixelamp-{function}"
    assert config["Labels"]["org.opencontainers.image.version"] == "0.1.0"
    assert config["Labels"]["org.opencontainers.image.revision"] == "0" * 40
    assert config["Labels"]["org.opencontainers.image.licenses"] == "MIT"
    assert "healthz" in " ".join(config["Healthcheck"]["Test"])


def confined(root, described, command, **environment):
    """A process in an image: its own user, a read-only root, a /tmp in memory, the network of this machine."""
    values = described["Docker"]["config"]["Env"] + [f"{name}={value}" for name, value in environment.items()]
    script = (
        f'mount --bind "{root}" "{root}" && mount -o remount,bind,ro "{root}" && mount -t tmpfs tmpfs "{root}/tmp" && '
        f'mount --rbind /dev "{root}/dev" && mount -t proc proc "{root}/proc" && cd "{root}" && '
        f'exec env -i "$@" chroot --userspec=65532:65532 "{root}" sh -c {shlex.quote(f"cd /app && {command}")}'
    )
    return subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *values],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def server(image):
    """The function in its image, by the image's own command."""
    _, root, described = image
    port = free_port()
    process = confined(root, described, of_the_shell("Cmd", described), PORT=port, LOG_FORMAT="json")
    try:
        yield image, port, process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)
        process.stdout.close()


def of_the_shell(name, described):
    """A command of the image that is a shell's already, for a shell."""
    command = described["Docker"]["config"][name]
    assert command[:2] == ["/bin/sh", "-c"]
    return command[2]


def fetch(url, process, data=None, headers=None, deadline=30.0):
    """The answer's status and body, waiting until the server listens."""
    end = time.monotonic() + deadline
    while True:
        try:
            request = urllib.request.Request(url, data, headers or {})
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except (urllib.error.URLError, ConnectionError):
            if process.poll() is not None or time.monotonic() > end:
                raise AssertionError(process.stdout.read()) from None
            time.sleep(0.05)


WORK = {
    "stress": ("/?seconds=0.2&load=10", b"", "achieved"),
    "exif": ("/", PNG, "summary"),
    "histogram": ("/", PNG, "histogram"),
}


@builds
@each
def test_it_works_read_only_as_its_own_user(server):
    (function, root, described), port, process = server
    url = f"http://127.0.0.1:{port}"
    assert fetch(f"{url}/healthz", process)[0] == 200
    status_file = next(Path(f"/proc/{process.pid}").glob("status")).read_text()
    assert "Uid:\t65532\t65532\t65532\t65532" in status_file
    path, body, key = WORK[function]
    status, answer = fetch(url + path, process, body, {"Accept": "application/json"})
    assert status == 200, answer
    assert key in json.loads(answer)
    if function == "histogram":
        for kind, start in {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}.items():
            status, answer = fetch(f"{url}/?format={kind}&engine=matplotlib", process, PNG)
            assert (status, answer[: len(start)]) == (200, start)
        for data in (png_of(1, 1, 16, 0, b"\0\x12\x34", b""), encoded(gradient(size=(9000, 6000)), "TIFF")):
            assert fetch(f"{url}/", process, data)[0] == 200
    healthcheck = described["Docker"]["config"]["Healthcheck"]["Test"]
    assert healthcheck[0] == "CMD-SHELL"
    checks = {at: confined(root, described, healthcheck[1], PORT=at) for at in (port, free_port())}
    assert [check.communicate(timeout=60) and check.returncode for check in checks.values()] == [0, 1]
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    log = process.stdout.read()
    assert "Read-only file system" not in log
    assert "Traceback" not in log
    assert "matplotlib created a temporary" not in log.lower()


class Sink(BaseHTTPRequestHandler):
    """Answers whatever is posted, and keeps which host and path it was for."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        length = int(self.headers.get("Content-Length", 0))
        assert len(self.rfile.read(length)) == length
        self.server.seen.append((self.headers["Host"], self.path))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


@builds
@pytest.mark.parametrize("image", [LOADTEST], indirect=True)
def test_the_job_loads_from_a_read_only_root(image):
    _, root, described = image
    job = yaml.safe_load((ROOT / "loadtest/job.yaml").read_text())
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["image"] == images.reference("dev.local", "loadtest", "0.1.0")
    with ThreadingHTTPServer(("127.0.0.1", 0), Sink) as sink:
        sink.seen = []
        threading.Thread(target=sink.serve_forever, daemon=True).start()
        elsewhere = ("--host=", "--levels=")  # the address of a cluster, and minutes of load
        kept = [argument for argument in container["args"] if not argument.startswith(elsewhere)]
        here = [f"--host=http://127.0.0.1:{sink.server_port}", "--levels=4x5s"]
        command = shlex.join(["exec", *container["command"], *kept, *here])
        process = confined(root, described, command)
        output, _ = process.communicate(timeout=120)
        sink.shutdown()
    assert process.returncode == 0, output
    assert {host.partition(".")[0] for host, _ in sink.seen} <= {"histogram", "exif", "stress"}
    assert len(sink.seen) >= 4
    assert "Traceback" not in output
    assert "Read-only file system" not in output


def answer(returncode=0, stdout=""):
    return subprocess.CompletedProcess([], returncode, stdout, "")


@pytest.mark.parametrize(
    ("there", "docker_runs", "tool"),
    [
        ({"docker", "podman", "buildah"}, True, "docker"),
        ({"docker", "podman"}, False, "podman"),
        ({"buildah"}, False, "buildah"),
    ],
)
def test_the_builder_is_what_is_there_and_works(there, docker_runs, tool):
    found = images.builder(lambda name: name if name in there else None, lambda *_, **__: answer(not docker_runs))
    assert found == tool


def test_without_a_builder_the_error_says_what_to_install():
    with pytest.raises(images.ImageError, match="install podman or buildah"):
        images.builder(lambda _: None)


def test_commands_name_registry_tag_version_and_commit():
    image = images.reference("registry.example.com/me/", "exif", "1.2.3")
    assert image == "registry.example.com/me/pixelamp-exif:1.2.3"
    command = images.build_command("docker", "exif", image, version="1.2.3", revision="abc")
    wanted = ["--build-arg", "FUNCTION=exif", "--build-arg", "VERSION=1.2.3", "--build-arg", "REVISION=abc"]
    assert command == ["docker", "build", *wanted, "--tag", image, "."]
    assert images.build_command("buildah", "exif", image)[2:4] == ["--format", "docker"]


@pytest.mark.parametrize(
    ("tool", "named", "pushed"),
    [
        ("docker", "--tag", ["docker", "push", "me/pixelamp-exif:1"]),
        (
            "buildah",
            "--manifest",
            ["buildah", "manifest", "push", "--all", "me/pixelamp-exif:1", "docker://me/pixelamp-exif:1"],
        ),
    ],
)
def test_several_platforms_are_one_manifest_list(tool: str, named: str, pushed: list[str]):
    image, both = "me/pixelamp-exif:1", "linux/amd64,linux/arm64"
    command = images.build_command(tool, "exif", image, platforms=both)
    assert command[-5:] == ["--platform", both, named, image, "."]
    assert images.push_command(tool, image, platforms=both) == pushed
    assert images.push_command(tool, image) == [tool, "push", image]


def test_the_base_of_the_tests_is_the_base_of_the_image():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert {line.split()[1] for line in lines if line.startswith("FROM")} == {BASE}


def test_one_plain_dockerfile_makes_every_image():
    """No instruction of it needs BuildKit: buildah, kaniko and an older docker build it too."""
    text = (ROOT / "Dockerfile").read_text()
    assert [path for path in tracked() if path.name.endswith("Dockerfile")] == [Path("Dockerfile")]
    assert "# syntax" not in text
    assert "<<" not in text
    assert set(re.findall(r"^(?:RUN|COPY|ADD) (--\w+)", text, re.MULTILINE)) <= {"--from"}


def tracked():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no checkout")
    return [Path(line) for line in listed.stdout.splitlines()]


def test_images_are_built_by_name(capsys):
    done = []

    def run(command, **_):
        done.append(command)
        return answer(stdout="abc")

    parser = argparse.ArgumentParser()
    images.add_parser(parser.add_subparsers())
    assert images.run(parser.parse_args(["images"]), run) == 0
    assert images.run(parser.parse_args(["images", "loadtest"]), run) == 0
    built = [command[-2] for command in done if "build" in command]
    wanted = [*images.FUNCTIONS, "loadtest"]
    assert built == [f"dev.local/pixelamp-{name}:0.1.0" for name in wanted]
    assert images.run(parser.parse_args(["images", "sepia"]), run) == 2
    assert "unknown image sepia" in capsys.readouterr().err


def test_nothing_but_the_sources_of_an_image_is_sent_to_a_builder():
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    copied = {
        source
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY") and "--from" not in line
        for source in line.split()[1:-1]
    }
    assert rules[0] == "*"
    sent = [rule[1:] for rule in rules if rule.startswith("!")]
    assert not [source for source in copied if not any(f"{source}/".startswith(f"{rule}/") for rule in sent)]
    assert not [rule for rule in sent if not any(f"{source}/".startswith(f"{rule}/") for source in copied)]
