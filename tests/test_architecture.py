"""The house: imports go one way, names agree, and the documents tell the truth about them."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Collection, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FUNCTIONS = ("histogram", "exif", "stress")
# Who may import what of the project, the most particular prefix first; a module may always import its own package.
ALLOWED: dict[str, tuple[str, ...]] = {
    "functions.kit": (),
    "functions.histogram": ("functions.kit",),
    "functions.exif": ("functions.kit",),
    "functions.stress": ("functions.kit",),
    "functions.client": (),
    # The pages' shell, and the pure codec of CloudEvents: one reading of the specification, not two.
    "knative": ("functions.kit.page", "functions.kit.events", "functions.kit.problems"),
    # Runs inside an image while it is built, to leave warm caches behind.
    "knative.image": ("functions.kit",),
    # The simulation and the pure parts that it is made of.
    "loadtest": tuple(
        f"knative.local.{part}"
        for part in ("simulate", "simulation", "world", "arrivals", "autoscaler", "scaling", "grammar", "manifests")
    ),
}
HEAVY = {"numpy", "matplotlib", "PIL", "requests", "pi_heif", "piexif"}


def modules(package: str) -> Iterator[tuple[str, Path]]:
    for path in sorted((ROOT / package.replace(".", "/")).rglob("*.py")):
        yield ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), path


def imports(path: Path, top_level: bool = False) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = _running(tree) if top_level else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _running(tree: ast.AST, functions: bool = False) -> Iterator[ast.AST]:
    """Nodes that run when the module is imported, or ever with `functions`: what is under TYPE_CHECKING never does."""
    for node in ast.iter_child_nodes(tree):
        if not functions and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        yield node
        yield from _running(node, functions)


def _imported(path: Path, ours: Collection[str]) -> Iterator[str]:
    """What a module's code imports, early or late; a package only for names that are no module inside it."""
    for node in _running(ast.parse(path.read_text(encoding="utf-8")), functions=True):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{path} imports relatively"
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in ours else node.module for name in names)


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_go_one_way(package: str) -> None:
    ours = ("functions", "knative", "loadtest", "tests")
    closer = [other for other in ALLOWED if other.startswith(package + ".")]
    for module, path in modules(package):
        if any(module.startswith(other) for other in closer):
            continue
        for name in imports(path):
            if name.split(".")[0] not in ours or name in ours or name.startswith(package):
                continue
            allowed = any(
                name == prefix or name.startswith(prefix + ".") or prefix.startswith(name + ".")
                for prefix in ALLOWED[package]
            )
            assert allowed, f"{module} imports {name}"


def test_no_module_comes_back_to_itself_by_its_imports() -> None:
    ours = {module: path for room in ("functions", "knative", "loadtest") for module, path in modules(room)}
    graph = {module: ours.keys() & _imported(path, ours) for module, path in ours.items()}
    assert graph["functions.exif.main"] >= {"functions.exif.copies", "functions.exif.answer"}, "early and late imports"
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail("a circle: " + " imported by ".join(error.args[1]))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_nothing_heavy_is_imported_before_a_request_needs_it(function: str) -> None:
    for package in ("functions.kit", f"functions.{function}"):
        for module, path in modules(package):
            reached = HEAVY & {name.split(".")[0] for name in imports(path, top_level=True)}
            lazily_loaded = module.endswith((".matplotlib_engine", ".publication"))
            assert not reached or lazily_loaded, f"{module} imports {', '.join(reached)} when it is loaded"


def test_the_cloudevents_sdk_is_used_in_one_module_at_most() -> None:
    users = [
        module
        for package in ALLOWED
        for module, path in modules(package)
        if any(name.split(".")[0] == "cloudevents" for name in imports(path))
    ]
    assert users in ([], ["functions.kit.events"])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_one_name_for_directory_extra_service_and_image(function: str) -> None:
    import yaml

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert function in project["optional-dependencies"]
    manifest = yaml.safe_load((ROOT / f"knative/services/{function}.yaml").read_text(encoding="utf-8"))
    assert manifest["metadata"]["name"] == function
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == f"dev.local/pixelamp-{function}:{project['version']}"
    assert (ROOT / f"requirements/{function}.txt").is_file()


def test_the_version_stands_in_one_place_and_is_repeated_truly() -> None:
    from functions.kit.service import VERSION

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == VERSION


@pytest.mark.parametrize("room", ["functions/kit", "knative/local"])
def test_the_architecture_names_every_module_of_the_large_rooms(room: str) -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = text[text.index(f"| `{room}/` | modules |") :].split("\n\n", 1)[0]
    named = set(re.findall(r"`(\w+)`", table))
    assert named == {path.stem for path in (ROOT / room).glob("*.py")} - {"__init__"}


def test_requirements_are_hashed_and_name_no_index() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text(encoding="utf-8")
        assert "://" not in text, path
        assert text.count("==") <= text.count("--hash=sha256:"), path
