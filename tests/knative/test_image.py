"""The image, really built: size, contents, labels, and a function that answers from a read-only root as its own user.

No daemon and no image registry is needed: buildah builds in a chroot, on a base made by debootstrap into which the
Python of this machine is copied, and which is tagged as the FROM line names it.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path

import pytest

from knative import images

ROOT = Path(__file__).resolve().parents[2]
BASE = "docker.io/library/python:3.13-slim"
STORE = Path(os.environ.get("PIXELAMP_IMAGE_STORE", "/var/tmp/pixelamp-images"))
LIMITS = {"stress": 25, "exif": 50, "histogram": 200}  # MB over the base, bytecode included
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
    """A pip.conf that says what this machine's pip is told, for the build alone."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True).stdout
    values = {}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        values[name.split(".")[-1]] = value.strip("'\"").replace(" ", "\n    ")
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


FUNCTIONS = [
    pytest.param("stress", marks=pytest.mark.timeout(600)),
    pytest.param("exif", marks=[pytest.mark.slow, pytest.mark.timeout(600)]),
    pytest.param("histogram", marks=[pytest.mark.slow, pytest.mark.timeout(600)]),
]
each = pytest.mark.parametrize("image", FUNCTIONS, indirect=True)


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
    over = megabytes(size_of(images.reference("dev.local", function, "0.1.0"))) - megabytes(size_of(BASE))
    print(f"{function}: {over:.0f} MB over the base")
    assert 5 < over <= LIMITS[function]
    assert not list((root / "venv").glob("bin/pip*"))


@builds
@each
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
@each
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


@pytest.fixture
def server(image):
    """The function in its image: its own user, a read-only root, a /tmp in memory, a network of this machine."""
    function, root, described = image
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = [f"{entry}" for entry in described["Docker"]["config"]["Env"]] + [f"PORT={port}", "LOG_FORMAT=json"]
    command = described["Docker"]["config"]["Cmd"]
    script = (
        f'mount --bind "{root}" "{root}" && mount -o remount,bind,ro "{root}" && mount -t tmpfs tmpfs "{root}/tmp" && '
        f'mount --rbind /dev "{root}/dev" && mount -t proc proc "{root}/proc" && cd "{root}" && '
        f'exec env -i "$@" chroot --userspec=65532:65532 "{root}" sh -c "cd /app && {shell(command)}"'
    )
    process = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *environment],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield function, f"http://127.0.0.1:{port}", process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)
        process.stdout.close()


def shell(command):
    """The image's command for a shell; it is a shell's already."""
    assert command[:2] == ["/bin/sh", "-c"]
    return command[2].replace('"', '\\"').replace("$", "\\$")


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
    function, url, process = server
    assert fetch(f"{url}/healthz", process)[0] == 200
    status_file = next(Path(f"/proc/{process.pid}").glob("status")).read_text()
    assert "Uid:\t65532\t65532\t65532\t65532" in status_file
    path, body, key = WORK[function]
    status, answer = fetch(url + path, process, body, {"Accept": "application/json"})
    assert status == 200, answer
    assert key in json.loads(answer)
    if function == "histogram":
        status, answer = fetch(f"{url}/?format=png&engine=matplotlib", process, PNG)
        assert status == 200
        assert answer.startswith(b"\x89PNG")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    log = process.stdout.read()
    assert "Read-only file system" not in log
    assert "Traceback" not in log
    assert "matplotlib created a temporary" not in log.lower()


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


def test_the_base_of_the_tests_is_the_base_of_the_image():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert {line.split()[1] for line in lines if line.startswith("FROM")} == {BASE}


def test_nothing_but_the_sources_of_an_image_is_sent_to_a_builder():
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    copied = {
        line.split()[1].split("/")[0]
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY") and "--from" not in line
    }
    assert rules[0] == "*"
    assert copied <= {rule[1:] for rule in rules if rule.startswith("!")}
