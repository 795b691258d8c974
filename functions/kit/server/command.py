"""Serve one function: `python -m functions.kit.server histogram`."""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys

EXIT_CONFIGURATION = 2
M_ARENA_MAX = -8  # malloc.h
ARENAS = 1


def share_arena() -> None:
    """Let all threads share one malloc arena.

    glibc creates an arena for each thread, up to eight per core, and each keeps the memory of its largest image: a
    server would grow for an hour. Since the GIL lets one thread run at a time, threads do not contend for the arena:
    one costs no more CPU time than several, and exif a third less.
    """
    import contextlib
    import ctypes

    with contextlib.suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)


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
    share_arena()
    # Exclude all present objects, which live as long as the process, from collection; forked workers share them.
    gc.freeze()
    gc.enable()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    Application(app, service, f"{arguments.host}:{arguments.port}").run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
