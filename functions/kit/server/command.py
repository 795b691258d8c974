"""Serve one function: `python -m functions.kit.server histogram`."""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys

EXIT_CONFIGURATION = 2
# Parameters of mallopt (malloc.h) and their values.
MALLOC = {
    # glibc creates an arena for each thread, up to eight per core, and each keeps the memory of its largest image: a
    # server would grow for an hour. Since the GIL lets one thread run at a time, threads do not contend for the arena:
    # one costs no more CPU time than several, and exif a third less.
    -8: 1,  # M_ARENA_MAX
    # The memory of a small image is kept for the next one: after returning it, each 4 kB would cost a page fault.
    -1: 8 * 2**20,  # M_TRIM_THRESHOLD
    # Blocks that are larger are returned when they are freed. Without a value glibc raises it to 32 MiB.
    -3: 8 * 2**20,  # M_MMAP_THRESHOLD
}


def configure_malloc() -> None:
    """Let all threads share one arena, which keeps the memory of small images and returns that of large ones."""
    import contextlib
    import ctypes

    with contextlib.suppress(OSError, AttributeError):  # not glibc
        library = ctypes.CDLL(None)
        for parameter, value in MALLOC.items():
            library.mallopt(parameter, value)


def main(argv: list[str] | None = None) -> int:
    """Serve one function until SIGTERM.

    Returns:
        0 after a drain, 2 for wrong settings or arguments.
    """
    parser = argparse.ArgumentParser(prog="python -m functions.kit.server", description=__doc__)
    parser.add_argument("function", help="a folder of functions/ with a main.py, such as exif")
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", default=os.environ.get("PORT", "8080"), help="default: $PORT, else 8080")
    arguments = parser.parse_args(argv)
    name = arguments.function
    if not (arguments.port.isdigit() and 0 < int(arguments.port) < 65536):
        parser.error(f"invalid port {arguments.port!r}: expected 1 to 65535")
    # Imports create hardly any garbage, and collecting it would take 5 % of a cold start.
    gc.disable()
    from functions.kit.http.settings import SettingsError

    try:
        from functions.kit.server.application import Application, build

        app, service = build(name)
    except FileNotFoundError as error:
        parser.error(str(error))
    except ModuleNotFoundError as error:
        parser.error(f"{error}; install what {name} needs: pip install 'pixelamp[{name}]'")
    except SettingsError as error:
        for mistake in error.mistakes:
            print(mistake, file=sys.stderr)  # noqa: T201
        return EXIT_CONFIGURATION
    if service.settings.workers > 1 and "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        import tempfile

        # Processes share counters in files; the library reads the variable when it is imported.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="pixelamp-metrics-")
    configure_malloc()
    # Exclude all present objects, which live as long as the process, from collection; forked workers share them.
    gc.freeze()
    gc.enable()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    Application(app, service, f"{arguments.host}:{arguments.port}").run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
