"""The smallest function, to test the kit with."""

from pathlib import Path

from functions.kit.http.function import Call, Function, Reply, Route
from functions.kit.http.options import Option, choice, flag, integer
from functions.kit.http.service import dispatch
from functions.kit.http.settings import Settings


def echo_upload(call: Call) -> dict[str, object]:
    upload = call.upload()
    return {"bytes": len(upload.data), "name": upload.name, "options": call.options}


def all_files(call: Call) -> dict[str, object]:
    return {"files": [[upload.name, upload.data.decode("latin-1")] for upload in call.uploads()]}


def negotiated(call: Call) -> Reply:
    best = call.accepts("text/csv", "application/xml")
    return Reply("a,b\n", best)


def stream(call: Call) -> Reply:
    return Reply((f"{n}\n".encode() for n in range(3)), "application/x-ndjson")


def crash(call: Call) -> dict[str, object]:
    raise ZeroDivisionError("secret of the house")


OPTIONS = (
    Option("width", integer(64, 4096), 640, "pixels"),
    Option("mode", choice("light", "dark"), "light", "look"),
    Option("log", flag(), False, "logarithmic"),
)
FUNCTION = Function(
    "echo",
    "Says what it got.",
    Settings,
    (
        Route("POST", "/", echo_upload, "the bytes of one image", OPTIONS, "image", aliases=("/old-name",)),
        Route("POST", "/files", all_files, "every file", takes="images"),
        Route("GET", "/negotiated", negotiated, "two media types", produces=("text/csv", "application/xml")),
        Route("GET", "/stream", stream, "three lines"),
        Route("POST", "/crash", crash, "a defect"),
    ),
    Path(__file__).with_name("page.html"),
)


def echo(request):  # the framework's target
    return dispatch(FUNCTION, request)
