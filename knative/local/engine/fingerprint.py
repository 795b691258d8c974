"""Whether files below a folder have changed, such as the code that pods run: a fingerprint of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from pathlib import Path

CODE = frozenset({".py", ".html", ".css", ".js", ".toml", ".go", ".rb", ".sh", ".mjs", ".ts", ".cfg", ".ini"})
# Other files with these suffixes are data, which a program may write while it runs.
NAMED = frozenset({"package.json", "package-lock.json", "requirements.txt"})
_LEFT_OUT = frozenset({"node_modules", "__pycache__", "tests", "docs", "build", "dist", "venv"})
_FILES = 20_000


def fingerprint(directory: str, suffixes: Collection[str] = CODE) -> str:
    """A digest of names, sizes and times of change of the files below a folder; hidden folders do not count."""
    digest = hashlib.sha256()
    code = suffixes is CODE
    left = _FILES
    for folder, names, files in os.walk(directory):
        names[:] = sorted(name for name in names if not name.startswith(".") and name not in _LEFT_OUT)
        for name in sorted(files):
            if (Path(name).suffix in suffixes or (code and name in NAMED)) and left:
                left -= 1
                path = os.path.join(folder, name)  # noqa: PTH118 - thousands of times a second
                try:
                    found = os.stat(path)  # noqa: PTH116
                except OSError:
                    continue
                digest.update(f"{path}\0{found.st_size}\0{found.st_mtime_ns}\n".encode())
    return digest.hexdigest()
