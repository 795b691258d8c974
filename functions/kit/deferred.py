"""Stand-ins for modules that a library imports at its top and that no request needs.

Such a library takes a few names from them and calls those later or never. A stand-in has a callable for each name,
which imports the module when it is called.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any


class NoCommands:
    """The command group of an application that has no command line."""

    name = ""


class Later:
    """A name of a module that is imported when the name is called or asked for an attribute.

    It is no function, so that it stays what it is as an attribute of a class.
    """

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def _found(self) -> Any:
        return getattr(import_module(self._module), self._name)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call what the name is."""
        return self._found()(*arguments, **named)

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        return getattr(self._found(), attribute)


class StandIn(ModuleType):
    """A module whose names are imported later."""

    # Flask creates a group for each application.
    AppGroup = NoCommands

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            return Later(self.__name__, name)
        return getattr(import_module(self.__name__), name)


@contextmanager
def deferred(*names: str) -> Iterator[None]:
    """Put stand-ins in place of modules, for the imports inside the block.

    After the block an import of such a name gets the module itself.

    Args:
        names: of the modules; one that is loaded already stays.
    """
    placed = {name: StandIn(name) for name in names if name not in sys.modules}
    sys.modules.update(placed)
    try:
        yield
    finally:
        for name, stand_in in placed.items():
            if sys.modules.get(name) is stand_in:
                del sys.modules[name]
            parent, _, child = name.rpartition(".")
            # Code that uses `werkzeug.serving` without importing it gets the stand-in.
            package = sys.modules.get(parent)
            if package is not None and not hasattr(package, child):
                setattr(package, child, stand_in)
