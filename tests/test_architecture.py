"""The house: imports go one way, names agree, and the documents tell the truth about them."""

from __future__ import annotations

import ast
import subprocess
import tomllib
from collections.abc import Collection, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import version
from pathlib import Path

import pytest

from functions import registry
from tools.packages import LIST, ROOTS, listed, packages

ROOT = Path(__file__).parents[1]
FUNCTIONS = registry.names()
MOST_MODULES = 14
# Packages that may hold more: one module for each format or maker.
UNLIMITED = {
    "functions/kit/containers",
    "functions/exif/makernotes",
}
HEAVY = {"numpy", "matplotlib", "PIL", "requests", "pi_heif", "piexif"}


def modules(package: str) -> Iterator[tuple[str, Path]]:
    for path in sorted((ROOT / package.replace(".", "/")).rglob("*.py")):
        yield ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), path


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


# The fields of a statement that hold statements: imports are nowhere else.
BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")


@cache
def imports(path: Path, top_level: bool = False) -> frozenset[str]:
    """Every name that a module imports; with `top_level` those alone that are imported with the module itself."""
    found: set[str] = set()
    for node in _statements(parsed(path), functions=not top_level, types=not top_level):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.update((node.module, *(f"{node.module}.{alias.name}" for alias in node.names)))
    return frozenset(found)


def _statements(node: ast.AST, functions: bool, types: bool) -> Iterator[ast.AST]:
    """The statements below a node, with or without those in functions and under TYPE_CHECKING."""
    for child in (child for field in BLOCKS for child in getattr(node, field, ())):
        if not functions and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if not types and isinstance(child, ast.If) and getattr(child.test, "id", None) == "TYPE_CHECKING":
            continue
        yield child
        yield from _statements(child, functions, types)


def _imported(path: Path, ours: Collection[str]) -> Iterator[str]:
    """What a module's code imports, early or late; a package only for names that are no module inside it."""
    for node in _statements(parsed(path), functions=True, types=False):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{path} imports relatively"
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in ours else node.module for name in names)


PACKAGES = dict(packages())


@pytest.mark.parametrize("package", [name for name in PACKAGES if name not in UNLIMITED])
def test_a_package_holds_at_most_14_modules(package: str) -> None:
    held = [path.stem for path in (ROOT / package).glob("*.py") if path.stem != "__init__"]
    assert len(held) <= MOST_MODULES, f"{package} holds {len(held)} modules: split it into packages"


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_says_what_it_does_and_who_imports_it(package: str) -> None:
    summary, _, rest = PACKAGES[package].partition("\n\n")
    assert summary.endswith("."), f"{package} has no docstring"
    assert rest.rstrip().endswith("."), f"the docstring of {package} has one sentence: say what may import it"


def test_the_architecture_lists_the_packages() -> None:
    (shown,) = LIST.findall((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"))
    assert shown == listed(), "write the list anew: python -m tools.packages"


def test_each_folder_with_modules_is_a_package() -> None:
    folders = {path.parent for package in ROOTS for path in (ROOT / package).rglob("*.py")}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


@pytest.mark.parametrize("function", [*FUNCTIONS, "kit", "client"])
def test_a_function_imports_the_kit_alone_and_the_kit_no_function(function: str) -> None:
    own = (f"functions.{function}",) if function == "client" else (f"functions.{function}", "functions.kit")
    for module, path in modules(f"functions.{function}"):
        ours = {name for name in imports(path) if name.startswith("functions.")}
        foreign = {name for name in ours if not any(name == one or name.startswith(f"{one}.") for one in own)}
        assert not foreign, f"{module} imports {', '.join(sorted(foreign))}"


def test_no_module_comes_back_to_itself_by_its_imports() -> None:
    ours = {module: path for package in ROOTS for module, path in modules(package)}
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
        for package in ("functions", "knative", "loadtest")
        for module, path in modules(package)
        if any(name.split(".")[0] == "cloudevents" for name in imports(path))
    ]
    assert users in ([], ["functions.kit.cloudevents.binding"])


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


def test_the_installed_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == version("pixelamp"), "install the project anew: make check"


def test_requirements_are_hashed_and_name_no_index() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text(encoding="utf-8")
        assert "://" not in text, path
        assert text.count("==") <= text.count("--hash=sha256:"), path


def test_each_target_of_the_makefile_has_one_recipe() -> None:
    """A second recipe for `test` once ran something else in its place, with a warning only."""
    targets = (ROOT / "Makefile").read_text(encoding="utf-8").split(".PHONY:", 1)[1].split("\n", 1)[0].split()
    made = subprocess.run(["make", "--dry-run", *targets], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (made.returncode, made.stderr) == (0, "")
