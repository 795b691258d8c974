"""Plan a load: `python -m loadtest.capacity --rate 1000`."""

from __future__ import annotations

import sys

from loadtest.capacity.command import main

if __name__ == "__main__":
    sys.exit(main())
