"""Images for tests of the container runtime, made of one static program, and whether any container can run here."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

BUSYBOX = Path("/bin/busybox")
# Answers what the query asks for, as the container sees it.
ANSWER = r"""#!/bin/busybox sh
printf 'Content-Type: text/plain\r\n\r\n'
case $QUERY_STRING in
env) /bin/busybox env ;;
id) echo "$(/bin/busybox id -u):$(/bin/busybox id -g)" ;;
write) /bin/busybox touch /written 2>/dev/null && echo written || echo read-only ;;
scratch) echo kept >/scratch/file && /bin/busybox cat /scratch/file ;;
config) /bin/busybox cat /etc/config/key /etc/secret/key /etc/all/renamed ;;
caps) /bin/busybox grep -E 'CapEff|NoNewPrivs' /proc/self/status ;;
arguments) echo "$ARGUMENTS in $DIRECTORY" ;;
beside) /bin/busybox wget -qO- "http://127.0.0.1:9200/cgi-bin/answer?env" ;;
call=*) /bin/busybox wget -qO- "http://${QUERY_STRING#call=}/cgi-bin/answer" 2>&1 ;;
hosts) /bin/busybox cat /etc/hosts; echo "proxy $http_proxy" ;;
shared) /bin/busybox sort /shared/* ;;
slow) /bin/busybox sleep 1; echo slept ;;
*) echo "hello from $HOSTNAME" ;;
esac
"""
SERVE = r"""#!/bin/busybox sh
[ -z "$CRASH" ] || { echo "boom: no database"; exit 3; }
echo "serving on ${FIXED:-$PORT}"
export ARGUMENTS="$*" DIRECTORY="$(/bin/busybox pwd)"
/bin/busybox httpd -h /www -p 9100
/bin/busybox httpd -f -h /www -p "${FIXED:-$PORT}" &
trap 'echo "asked to stop"; kill $!; exit 0' TERM
wait
"""
FILE = """FROM scratch
COPY busybox /bin/busybox
COPY busybox /opt/busybox-here
COPY serve /
COPY answer /www/cgi-bin/answer
COPY scratch /scratch
COPY work /work
ENTRYPOINT ["/bin/busybox", "sh", "/serve"]
CMD ["from", "the", "image"]
"""


def unavailable() -> str:
    """Why no container can be tested here; empty if they can."""
    missing = [name for name in ("podman", "buildah") if shutil.which(name) is None]
    missing += [] if BUSYBOX.exists() else ["busybox-static"]
    if missing:
        return f"{', '.join(missing)} not installed"
    done = subprocess.run(["podman", "info"], capture_output=True, text=True)
    return "" if done.returncode == 0 else f"podman: {done.stderr.strip()}"


def build(folder: Path, name: str, user: str = "") -> None:
    """Build the test image under a name."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(BUSYBOX, folder / "busybox")
    for script, text in (("answer", ANSWER), ("serve", SERVE)):
        (folder / script).write_text(text)
        (folder / script).chmod(0o755)
    for empty in ("scratch", "work"):
        (folder / empty).mkdir(exist_ok=True)
        (folder / empty).chmod(0o777)
    (folder / "Containerfile").write_text(FILE + (f"USER {user}\n" if user else ""))
    command = ["buildah", "build", "--isolation", "chroot", "--quiet", "--tag", name, str(folder)]
    subprocess.run(command, check=True, capture_output=True)


def running(label: str) -> list[str]:
    """The containers of engines, by a filter on their names."""
    listed = subprocess.run(
        ["podman", "ps", "--all", "--filter", f"name={label}", "--format", "{{.Names}}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return listed.stdout.split()


def kill(name: str) -> None:
    """Kill a container behind the engine's back."""
    subprocess.run(["podman", "kill", "--signal", "KILL", name], check=True, capture_output=True)


def remove(*names: str) -> None:
    """Remove images."""
    subprocess.run(["podman", "rmi", "--force", *names], check=False, capture_output=True)
