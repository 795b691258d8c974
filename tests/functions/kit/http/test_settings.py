from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.kit.http.settings import Settings, SettingsError, load, rows, setting, table


@dataclass(frozen=True, kw_only=True)
class Kinds(Settings):
    whole: int = setting(3, minimum=1, maximum=9, unit="things", help="a whole number")
    part: float = setting(0.5, minimum=0, maximum=1, help="a fraction")
    switch: bool = setting(False, help="on or off")
    word: str = setting("red", choices=("red", "blue"), help="a colour")
    some: tuple[str, ...] = setting((), help="a list")
    hidden: str = setting("", choices=("", "good"), help="a secret", secret=True)


def test_an_empty_environment_gives_the_defaults():
    assert load(Kinds, "demo", {}) == Kinds(function="demo")


def test_each_kind_is_read():
    environ = {
        "DEMO_WHOLE": " 7 ",
        "DEMO_PART": "0.25",
        "DEMO_SWITCH": "yes",
        "DEMO_WORD": "blue",
        "DEMO_SOME": "a, b,,c",
        "DEMO_MAX_BYTES": "10",
        "OTHER_WHOLE": "nonsense",
    }
    settings = load(Kinds, "demo", environ)
    assert (settings.whole, settings.part, settings.switch, settings.word) == (7, 0.25, True, "blue")
    assert settings.some == ("a", "b", "c")
    assert settings.max_bytes == 10
    assert settings.variable("max_bytes") == "DEMO_MAX_BYTES"


def test_all_mistakes_are_reported_at_once_with_name_value_and_reason():
    environ = {"DEMO_WHOLE": "ten", "DEMO_PART": "2", "DEMO_SWITCH": "perhaps", "DEMO_WORD": "green"}
    with pytest.raises(SettingsError) as caught:
        load(Kinds, "demo", environ)
    assert caught.value.mistakes == [
        "invalid DEMO_WHOLE value ('ten'): expected a whole number",
        "invalid DEMO_PART value ('2'): expected at least 0 and at most 1",
        "invalid DEMO_SWITCH value ('perhaps'): expected true or false",
        "invalid DEMO_WORD value ('green'): expected one of red, blue",
    ]


def test_a_zero_has_no_sign():
    assert repr(load(Kinds, "demo", {"DEMO_PART": "-0"}).part) == "0.0"


def test_a_secret_is_never_shown():
    with pytest.raises(SettingsError) as caught:
        load(Kinds, "demo", {"DEMO_HIDDEN": "hunter2"})
    assert "hunter2" not in str(caught.value)


@given(st.text())
def test_a_number_is_within_its_limits_or_refused(text: str):
    try:
        settings = load(Kinds, "demo", {"DEMO_WHOLE": text, "DEMO_PART": text})
    except SettingsError as error:
        assert 1 <= len(error.mistakes) <= 2
    else:
        assert 1 <= settings.whole <= 9
        assert 0 <= settings.part <= 1


@pytest.mark.parametrize("text", ["nan", "inf", "1_0", "٣", "0x3", "", "1e1"])
def test_numbers_are_only_what_the_readme_shows(text: str):
    with pytest.raises(SettingsError):
        load(Kinds, "demo", {"DEMO_WHOLE": text})


def test_rows_and_table_show_every_setting_once():
    names = [row.variable for row in rows(Kinds, "demo")]
    assert names[-1] == "DEMO_HIDDEN"
    assert len(names) == len(set(names))
    shown = table({"demo": Kinds})
    assert "| `<NAME>_MAX_BYTES` | `33554432` | bytes | largest request body |" in shown
    assert "| `DEMO_WHOLE` | `3` | things | a whole number |" in shown
    assert "DEMO_MAX_BYTES" not in shown


@pytest.mark.parametrize(
    "origins",
    [
        "https://a.example",
        "http://localhost:3000,https://xn--bcher-kva.example:8443",
        "http://[::1]:3000",
        "app://pixel",
        "",
    ],
)
def test_origins_are_what_browsers_send(origins: str):
    assert ",".join(load(Settings, "demo", {"DEMO_CORS_ORIGINS": origins}).cors_origins) == origins


@pytest.mark.parametrize(
    "origin",
    [
        *("*", "null", "a.example", "https://", "https://*.example", "https://a.example/", "https://a.example/path"),
        *("https://A.example", "https://bücher.example", "https://me@a.example", "https://a.example:", "https://a b"),
        *("https://a.example:443", "http://a.example:80", "https://a.example:080"),
    ],
)
def test_what_no_browser_sends_as_an_origin_is_refused_at_the_start(origin: str):
    with pytest.raises(SettingsError, match="DEMO_CORS_ORIGINS") as caught:
        load(Settings, "demo", {"DEMO_CORS_ORIGINS": f"https://good.example,{origin}"})
    assert repr(origin) in caught.value.mistakes[0]
