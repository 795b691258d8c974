"""Print pods over time: `python -m loadtest.observe exif`."""

from __future__ import annotations

import sys

from loadtest.observe.pods import main

if __name__ == "__main__":
    sys.exit(main())
