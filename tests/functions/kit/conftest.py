"""The echo function behind the framework, in this process."""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FlaskClient]:
    """A test client of the echo function; keyword arguments are its environment."""

    def make(**environment: str) -> FlaskClient:
        import functions_framework

        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        app = functions_framework.create_app("echo", str(Path(__file__).parent / "echo/main.py"), "http")
        return app.test_client()

    return make
