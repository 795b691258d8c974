"""Serve one function: `python -m functions.kit.server exif`."""

from __future__ import annotations

import sys

from functions.kit.server.command import main

if __name__ == "__main__":
    sys.exit(main())
