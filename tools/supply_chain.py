"""The shipped packages: their known vulnerabilities, and a bill of materials for each function.

Run by `make check`. A vulnerability fails it, and so does an audit that breaks; an advisory service that cannot be
reached, or knows none of the packages, is said and does not.
"""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
import warnings
from contextlib import redirect_stderr
from functools import cache
from io import StringIO

from packaging.markers import Marker

from knative.image.slim import NOT_LOADED
from tools.lock import EXTRAS, ROOT

OUT = ROOT / "out"
AUDIT_SECONDS = 120
# A requirement, its marker, and its hashes in the lines that follow.
_REQUIREMENT = re.compile(r"^([\w.-]+)==[^\s;]+(?: ; ([^\\\n]*[^\\\s]))?.*\n(?:[ ].*\n)*", re.MULTILINE)
_IMAGE = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "python_full_version": "3.13.0"}


def pinned() -> str:
    """Each shipped package once, as requirements without hashes."""
    names = set()
    for extra in EXTRAS:
        for line in (ROOT / f"requirements/{extra}.txt").read_text(encoding="utf-8").splitlines():
            if line and line[0].isalnum():
                names.add(line.removesuffix("\\").strip())
    # Extras need one version under different conditions: it is audited once.
    once = {line.partition(" ; ")[0] if "python_full_version" not in line else line: line for line in sorted(names)}
    return "\n".join(once.values()) + "\n"


def audit() -> int:
    """Returns 1 if a shipped version has a known vulnerability."""
    listed = OUT / "shipped.txt"
    listed.write_text(pinned(), encoding="utf-8")
    command = [
        *(sys.executable, "-m", "pip_audit", "--requirement", str(listed), "--no-deps", "--disable-pip"),
        *("--format", "json", "--progress-spinner", "off"),
    ]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=AUDIT_SECONDS)
    except subprocess.TimeoutExpired:
        print(f"pip-audit: no answer within {AUDIT_SECONDS} s; nothing was audited")
        return 0
    try:
        dependencies = json.loads(ended.stdout)["dependencies"]
    except (ValueError, KeyError):
        if "ConnectionError" in ended.stderr or "could not connect" in ended.stderr.lower():
            print("pip-audit: the advisory service cannot be reached from here; nothing was audited")
            return 0
        print(f"pip-audit failed: {ended.stderr.strip()[-500:]}")
        return 1
    audited = [item for item in dependencies if "skip_reason" not in item]
    vulnerable = [item for item in audited if item["vulns"]]
    for item in vulnerable:
        print(f"{item['name']} {item['version']}: {', '.join(found['id'] for found in item['vulns'])}")
    print(f"pip-audit: {len(audited)} of {len(dependencies)} packages audited, {len(vulnerable)} vulnerable")
    if not audited:
        print("pip-audit: the advisory service knows none of them from here; audit again where it does")
    return 1 if vulnerable else 0


def installed(extra: str) -> str:
    """The requirements of an extra; those of a function without the packages that its image does not have."""
    text = (ROOT / f"requirements/{extra}.txt").read_text(encoding="utf-8")
    if not (ROOT / "functions" / extra.partition("-")[0] / "main.py").is_file():
        return text

    def kept(found: re.Match[str]) -> str:
        name, marker = found.groups()
        there = not marker or Marker(marker).evaluate({**_IMAGE, "python_version": "3.13"})
        return found[0] if there and name not in NOT_LOADED else ""

    return _REQUIREMENT.sub(kept, text)


def bill_of_materials() -> None:
    """Write out/sbom-<extra>.json, CycloneDX 1.6: of a function, the packages of its image."""
    # These take three seconds to import, in each process that collects the tests of the other functions.
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator
    from rfc3987_syntax import syntax_helpers

    # A parse of one address takes a tenth of a second, and the bills repeat a hundred addresses.
    syntax_helpers.parse = cache(syntax_helpers.parse)
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    for extra in EXTRAS:
        target, listed = OUT / f"sbom-{extra}.json", OUT / f"installed-{extra}.txt"
        listed.write_text(installed(extra), encoding="utf-8")
        arguments = ["requirements", str(listed), "--pyproject", str(ROOT / "pyproject.toml")]
        _cyclonedx(*arguments, "--no-validate", "--output-reproducible", "--output-file", str(target))
        text = target.read_text(encoding="utf-8")
        if error := validator.validate_str(text):
            raise ValueError(f"{target.name} is no CycloneDX 1.6: {error}")
        components = json.loads(text)["components"]
        print(f"{target.relative_to(ROOT)}: {len(components)} components")


def _cyclonedx(*arguments: str) -> None:
    """Run `python -m cyclonedx_py` in this process, which imports it once for all bills."""
    before, sys.argv = sys.argv, ["cyclonedx_py", *arguments]
    try:
        with warnings.catch_warnings(), redirect_stderr(StringIO()) as printed:
            warnings.simplefilter("ignore")
            runpy.run_module("cyclonedx_py", run_name="__main__")
    except SystemExit as ended:
        if ended.code:
            raise ValueError(f"cyclonedx_py {' '.join(arguments)}: {printed.getvalue()}") from None
    finally:
        sys.argv = before


def main() -> int:
    """Audit and write the bills; the exit code is the audit's."""
    OUT.mkdir(exist_ok=True)
    bill_of_materials()
    return audit()


if __name__ == "__main__":
    sys.exit(main())
