"""Locust users for the three functions and their events, on this machine and on any cluster.

    locust -f loadtest/locustfile.py --host http://127.0.0.1:8080 --tags mixed
    locust -f loadtest/locustfile.py --host http://INGRESS-ADDRESS --domain default.example.com --headless -u 50 -t 5m
    locust -f loadtest/locustfile.py Browser        only PixelScan's users, who upload and read

Tags: histogram, exif, stress, mixed (the first three), events and event-pictures (CloudEvents). Routing is by path
(`/histogram` on one host) or, with `--domain`, by Host headers through one ingress address (`histogram.DOMAIN`).
`--shape` chooses a shape of shapes.py.
Bodies are encoded once, at start: a user costs little more than its connection.
"""

from __future__ import annotations

import json
import sys
import uuid
from argparse import Namespace
from typing import Any

import gevent
from locust import FastHttpUser, between, constant, events, tag, task
from locust.env import Environment

from knative.local.arguments import EXIT_MISTAKE
from knative.local.jsontypes import JsonObject
from knative.local.simulation.arrivals import ProfileError
from loadtest import images
from loadtest.generators.wire import multipart
from loadtest.shapes import Shaped, add_arguments, profile_of

CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 60.0
REFUSED_PAUSE_SECONDS = 0.1  # a refused client does not retry a thousand times a second
TAGS = "histogram, exif, stress, events, event-pictures and mixed"
SOURCE = "/loadtest"


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _arguments(parser: Any) -> None:
    """Add the options. Locust's own parser, and not a group of it, is what puts them into the web UI."""
    parser.add_argument(
        "--domain",
        default="",
        env_var="PIXELAMP_DOMAIN",
        include_in_web_ui=True,
        help="route by Host: FUNCTION.DOMAIN (Knative: NAMESPACE.DOMAIN)",
    )
    parser.add_argument(
        "--broker",
        default="",
        env_var="PIXELAMP_BROKER",
        include_in_web_ui=True,
        help="path or URL events are posted to",
    )
    # It names a file of the machine that Locust runs on.
    parser.add_argument(
        "--requests",
        default="",
        metavar="FILE",
        include_in_web_ui=False,
        help="write every request, a JSON object a line",
    )
    add_arguments(parser)


class _Bodies:
    """The request bodies, encoded once a process."""

    def __init__(self) -> None:
        self.histogram, self.histogram_type = multipart(images.png(), "photo.png")
        self.exif, self.exif_type = multipart(images.jpeg(), "photo.jpg", "image")
        self.picture = images.jpeg()
        self.event = json.dumps({"seconds": 0, "sleep_ms": 20}).encode()


_bodies: _Bodies | None = None


@events.init.add_listener  # type: ignore[untyped-decorator]
def _prepare(environment: Environment, **_: Any) -> None:
    global _bodies  # noqa: PLW0603 - one copy for all users of a process
    _bodies = _Bodies()
    if environment.parsed_options is not None:
        _keep_users_with_tasks(environment)
        _take_shape(environment)
        if environment.parsed_options.requests:
            _write_requests(environment, environment.parsed_options.requests)


def _write_requests(environment: Environment, path: str) -> None:
    """Append each request to a file, times in seconds since the epoch; several processes may share it."""
    # A line is one write to a file opened for appending: lines of several processes stay whole.
    file = open(path, "ab", buffering=0)  # noqa: SIM115, PTH123 - as long as the process

    @environment.events.request.add_listener  # type: ignore[untyped-decorator]
    def write(
        name: str, response: Any, response_time: float, exception: Exception | None, start_time: float, **_: Any
    ) -> None:
        status = response.status_code if response is not None else 0
        head = (response.headers if response is not None else None) or {}
        line = {
            "name": name,
            "sent": start_time,
            "done": start_time + response_time / 1000,
            "status": status,
            "reason": "" if exception is None else str(exception),
            "pod": head.get("X-Pod-Name", ""),
            "revision": head.get("X-Revision", ""),
            "cold": "X-Cold-Start" in head,
        }
        file.write(json.dumps(line).encode() + b"\n")


def _take_shape(environment: Environment) -> None:
    """Let the options shape the run; under the web UI always, since they can be changed there."""
    options: Any = environment.parsed_options
    try:
        profile = profile_of(options)
    except ProfileError as error:
        # Locust logs what a listener raises and goes on, without the shape; it does not hold up a SystemExit.
        print(f"locustfile: {error}", file=sys.stderr)
        raise SystemExit(EXIT_MISTAKE) from None
    if profile is not None or not (options.headless or options.worker):
        environment.shape_class = Shaped(options)
        environment.shape_class.runner = environment.runner


def _keep_users_with_tasks(environment: Environment) -> None:
    """Leave out users that the tags leave nothing to do: Locust would start them, and each would fail."""
    options: Any = environment.parsed_options
    wanted, unwanted = set(options.tags or ()), set(options.exclude_tags or ())

    def chosen(found: set[str]) -> bool:
        return (not wanted or bool(found & wanted)) and not found & unwanted

    environment.user_classes = [
        user
        for user in environment.user_classes
        if any(chosen(set(getattr(one, "locust_tag_set", ()))) for one in user.tasks)
    ]
    if not environment.user_classes:
        print(f"locustfile: no task is tagged {', '.join(sorted(wanted))}; there are {TAGS}", file=sys.stderr)
        raise SystemExit(EXIT_MISTAKE)


class _User(FastHttpUser):
    abstract = True
    connection_timeout = CONNECT_SECONDS
    network_timeout = ANSWER_SECONDS

    @property
    def bodies(self) -> _Bodies:
        if _bodies is None:
            raise RuntimeError("Locust has not been initialised")
        return _bodies

    @property
    def options(self) -> Namespace:
        found: Namespace = self.environment.parsed_options
        return found

    def pause_if_refused(self, status: int) -> None:
        """Wait a moment after no answer, 429 or 5xx."""
        if not status or status == 429 or status >= 500:
            gevent.sleep(REFUSED_PAUSE_SECONDS)

    def call(self, function: str, method: str, path: str = "", **arguments: Any) -> None:
        """Send a request to a function, by path or by host; the figures have its name either way."""
        headers = {"Accept": "application/json", **arguments.pop("headers", {})}
        url = f"/{function}{path}"
        if self.options.domain:
            headers["Host"] = f"{function}.{self.options.domain}"
        name = f"{function} {method} {path.partition('?')[0] or '/'}"
        with self.client.request(method, url, name=name, headers=headers, catch_response=True, **arguments) as answer:
            if answer.status_code != 200:
                answer.failure(_reason(answer, headers.get("Host")))
        self.pause_if_refused(answer.status_code)


def _reason(answer: Any, host: str | None) -> str:
    """The failure, for Locust's table; an ingress answers 404 for a host that it does not know."""
    unknown = f": does the ingress know {host}?" if host and answer.status_code == 404 else ""
    return f"{answer.status_code or answer.error}{unknown}"


class Functions(_User):
    """As fast as answers come: what shows concurrency autoscaling."""

    wait_time = constant(0)
    weight = 3

    @tag("histogram", "mixed")
    @task(3)
    def histogram(self) -> None:
        """A PNG of 512 × 512 pixels."""
        self.call("histogram", "POST", data=self.bodies.histogram, headers={"Content-Type": self.bodies.histogram_type})

    @tag("exif", "mixed")
    @task(3)
    def exif(self) -> None:
        """A JPEG with camera data."""
        self.call("exif", "POST", data=self.bodies.exif, headers={"Content-Type": self.bodies.exif_type})

    @tag("stress", "mixed")
    @task(1)
    def stress(self) -> None:
        """A fifth of a second at half a core."""
        self.call("stress", "POST", "?seconds=0.2&load=50")


class Browser(_User):
    """PixelScan's profile: one or two seconds between the uploads of one person."""

    wait_time = between(1, 2)
    weight = 1

    @tag("exif", "mixed")
    @task
    def upload(self) -> None:
        """The same upload, as a person sends it."""
        self.call("exif", "POST", data=self.bodies.exif, headers={"Content-Type": self.bodies.exif_type})


class _Publisher(_User):
    abstract = True
    wait_time = between(0.5, 1)
    weight = 1

    def publish(self, function: str, kind: str, content_type: str, data: bytes) -> None:
        """One event in binary mode to the broker, or to the function; accepted is enough for a broker."""
        headers = {
            "Content-Type": content_type,
            "ce-specversion": "1.0",
            "ce-id": str(uuid.uuid4()),
            "ce-source": SOURCE,
            "ce-type": kind,
        }
        url = self.options.broker or f"/{function}"
        if self.options.domain and not self.options.broker:
            headers["Host"] = f"{function}.{self.options.domain}"
        arguments: JsonObject = {"headers": headers, "data": data, "name": f"events POST {kind}"}
        with self.client.request("POST", url, catch_response=True, **arguments) as answer:
            if not 200 <= answer.status_code < 300:
                answer.failure(_reason(answer, headers.get("Host")))
        self.pause_if_refused(answer.status_code)


class Publisher(_Publisher):
    """CloudEvents that ask for work without a picture."""

    @tag("events")
    @task
    def request(self) -> None:
        """A wait of 20 ms."""
        self.publish("stress", "dev.pixelamp.stress.requested", "application/json", self.bodies.event)


class PicturePublisher(_Publisher):
    """CloudEvents that carry a picture: a broker hands each to exif and histogram, whose results meet."""

    @tag("event-pictures")
    @task
    def picture(self) -> None:
        """The JPEG with camera data."""
        self.publish("exif", "dev.pixelamp.image.uploaded", "image/jpeg", self.bodies.picture)
