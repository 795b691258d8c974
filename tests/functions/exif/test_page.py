"""The page in a real browser: pictures in by every way, the privacy report, the search, the clean copy."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Download, expect

from functions.exif.answer import examine
from tests.browser import hand_over, named, no_serious_violation, no_sideways_scrolling, picture, visit
from tests.functions.exif import credentials, made
from tests.images import encoded, gradient
from tests.servers import FunctionServer


@pytest.fixture
def address(servers: Callable[..., FunctionServer]) -> str:
    return f"{servers('exif').url}/exif"


@pytest.mark.parametrize(
    ("size", "scheme"),
    [
        ("wide", "light"),
        ("narrow", "dark"),
        pytest.param("wide", "dark", marks=pytest.mark.slow),
        pytest.param("narrow", "light", marks=pytest.mark.slow),
    ],
)
def test_a_chosen_picture_shows_its_privacy_report_first(
    browser: Browser, address: str, size: str, scheme: str
) -> None:
    with visit(browser, address, size, scheme) as page:
        page.set_input_files("#file", named("harbour.jpg", made.jpeg()))
        card = page.locator(".file")
        expect(card.locator("h2")).to_contain_text("Lamp Camera X")
        expect(card.locator("h3").nth(0)).to_have_text("Picture")
        expect(card.locator("h3").nth(1)).to_have_text("Privacy")
        expect(card.locator(".findings li").first).to_contain_text("place: where it was taken")
        expect(card.locator(".findings")).to_contain_text("SN-0815-4711")
        expect(card.locator("a", has_text="map application")).to_have_attribute("href", "geo:48.137153,11.576152")
        thumbnail = card.get_by_alt_text("The thumbnail in the metadata")
        assert thumbnail.evaluate("each => [each.naturalWidth, each.naturalHeight]") == [16, 12]
        link = card.get_by_role("link", name="OpenStreetMap")
        expect(link).to_have_attribute("href", re.compile(r"^https://www\.openstreetmap\.org/.*48\.137153"))
        expect(page.locator("#answered-by")).to_contain_text(re.compile(r"^\d+ ms .*answered by exif-"))
        expect(card.locator(".served")).to_contain_text(re.compile(r"pod exif-.* · \d+ ms"))
        expect(card.locator(".glance")).to_contain_text("SN-0815-4711")
        no_sideways_scrolling(page)
        no_serious_violation(page)
        picture(page, f"exif-result-{size}-{scheme}")


def test_pictures_are_dropped_pasted_refused_and_searched(browser: Browser, address: str) -> None:
    with visit(browser, address) as page:
        page.set_input_files("#file", named("notes.txt", b"no image at all"))
        expect(page.locator("#results [role=alert]")).to_contain_text("unrecognised image format")
        expect(page.locator("#all")).to_be_hidden()
        hand_over(page, "drop", "harbour.jpg", made.jpeg())
        expect(page.locator(".file h2")).to_contain_text("Lamp Camera X")
        rows = page.locator(".tags tr[data-text]:visible")
        expect(rows.first).to_be_visible()
        every = rows.count()
        page.fill(".search", "serial")
        expect(rows).to_have_count(1)
        expect(rows).to_contain_text("SN-0815-4711")
        expect(page.locator(".search + [role=status]")).to_have_text("1 found")
        page.fill(".search", "")
        expect(rows).to_have_count(every)
        hand_over(page, "paste", "pasted.png", made.png())
        expect(page.locator(".file")).to_have_count(2)


def test_clean_copies_are_saved_and_reported(browser: Browser, address: str, tmp_path: Path) -> None:
    with visit(browser, address, accept_downloads=True) as page:
        page.set_input_files("#file", named("harbour.jpg", made.jpeg()))
        for choice, left, removed in (("&remove=gps", "Erika Mustermann", "location"), ("", "", "comment")):
            page.check(f".clean input[value='{choice}']")
            with page.expect_download() as saved:
                page.click("text=Download a clean copy")
            assert saved.value.suggested_filename == "harbour.jpg"
            copy = tmp_path / "copy.jpg"
            saved.value.save_as(copy)
            reading = examine(copy.read_bytes())
            assert "GPS" not in reading.groups
            assert reading.text("IFD0", "Artist") == left
            expect(page.locator(".gone").first).to_contain_text(removed)
            expect(page.locator(".file .good")).to_contain_text("Pixels unchanged")
            page.click("text=All removed tags")
            expect(page.locator(".gone").last).to_contain_text("GPSLatitude")
        no_serious_violation(page)
        picture(page, "exif-clean-wide-light")


def test_several_files_with_one_that_is_not_a_picture(browser: Browser, address: str, tmp_path: Path) -> None:
    with visit(browser, address, "narrow", accept_downloads=True) as page:
        page.set_input_files(
            "#file",
            [
                named("one.jpg", made.jpeg()),
                named("two.png", made.png()),
                named("notes.txt", b"no image at all"),
                named("plain.gif", encoded(gradient("P"), "GIF")),
            ],
        )
        expect(page.locator(".file")).to_have_count(3)
        expect(page.locator("#results [role=alert]")).to_contain_text("unrecognised image format")
        expect(page.locator("#count")).to_have_text("3 pictures")
        expect(page.locator(".file").last.locator(".grade").first).to_have_text("nothing found")
        expect(page.locator("#grades")).to_have_text("identifies: 2 · nothing found: 1")
        assert page.locator(".body").count() == 0  # of several, first what each is
        page.locator(".file").nth(1).locator("summary").first.click()
        expect(page.locator(".body")).to_have_count(1)
        with page.expect_download() as saved:
            page.click("#zip")
        saved.value.save_as(tmp_path / "clean.zip")
        with zipfile.ZipFile(tmp_path / "clean.zip") as archive:
            assert archive.namelist() == ["one.jpg", "two.png", "plain.gif"]
        with page.expect_download() as saved:
            page.click("#csv")
        with Path(saved.value.path()).open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        assert {row["file"] for row in rows} == {"one.jpg", "two.png", "plain.gif"}
        assert {"file": "one.jpg", "group": "IFD0", "tag": "Artist", "value": "Erika Mustermann"} in rows
        no_sideways_scrolling(page)
        no_serious_violation(page)
        picture(page, "exif-several-narrow-light")


def test_the_sample_by_keyboard_alone(browser: Browser, address: str) -> None:
    with visit(browser, address, accept_downloads=True) as page:
        page.focus("#sample")
        page.keyboard.press("Enter")
        expect(page.locator(".file h2")).to_have_text(
            "Pixelamp Harbour One, 50 mm, 1/200 s, f/2.8, ISO 400, 3 May 2024 20:41 +02:00"
        )
        expect(page.locator(".file .findings")).to_contain_text("Erika Mustermann")
        picture(page, "exif-sample-wide-light")
        page.focus(".file > summary")
        page.keyboard.press("Enter")
        expect(page.locator(".file .findings")).to_be_hidden()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.type") == "radio"
        page.keyboard.press("ArrowDown")
        assert page.evaluate("document.activeElement.value") == "&remove=gps"
        page.keyboard.press("Tab")
        with page.expect_download():
            page.keyboard.press("Enter")
        expect(page.locator("#said")).to_have_text("The clean copy is saved.")


@pytest.mark.parametrize(
    "name",
    [
        "it's; Berlin, 2024.jpg",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("a;type=text.jpg", 'x";filename=y.jpg', "$(id) `id`.jpg")
        ),
    ],
)
def test_the_copied_command_reads_a_file_of_any_name(browser: Browser, address: str, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(made.jpeg())
    with visit(browser, address, permissions=["clipboard-read", "clipboard-write"]) as page:
        page.set_input_files("#file", tmp_path / name)
        page.click("text='JSON'")
        expect(page.locator(".body pre")).to_contain_text('"privacy"')
        page.click("text=Copy as curl")
        expect(page.locator("#said")).to_have_text("Copied.")
        command = page.evaluate("navigator.clipboard.readText()")
    answer = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, check=True).stdout
    assert json.loads(answer)["groups"]["IFD0"]["Artist"]["value"] == "Erika Mustermann"


@pytest.mark.parametrize(
    ("limits", "archives"),
    [
        pytest.param({}, {"clean.zip": list("abcde")}, marks=pytest.mark.slow),
        ({"EXIF_MAX_FILES": "2"}, {"clean-1.zip": list("ab"), "clean-2.zip": list("cd"), "e.jpg": ["e"]}),
        pytest.param(
            {"EXIF_MAX_BYTES": "100000"},
            {"clean-1.zip": list("abc"), "clean-2.zip": list("de")},
            marks=pytest.mark.slow,
        ),
        pytest.param({"EXIF_MAX_BYTES": "31000"}, {f"{name}.jpg": [name] for name in "abcde"}, marks=pytest.mark.slow),
    ],
)
def test_clean_copies_of_all_are_split_into_archives_by_the_limits(
    browser: Browser,
    servers: Callable[..., FunctionServer],
    limits: dict[str, str],
    archives: dict[str, list[str]],
) -> None:
    padded = made.jpeg()
    padded += bytes(30_000 - len(padded))
    with visit(browser, f"{servers('exif', **limits).url}/exif", accept_downloads=True) as page:
        page.set_input_files("#file", [named(f"{name}.jpg", padded) for name in "abcde"])
        expect(page.locator("#count")).to_have_text("5 pictures")
        saved: list[Download] = []
        page.on("download", lambda one: saved.append(one))  # noqa: PLW0108 - a built-in cannot be marked
        page.click("#zip")
        expect(page.locator("#said")).to_contain_text("The clean copies are saved")
        expect(page.locator("#failure")).to_be_hidden()
        while len(saved) < len(archives):
            page.wait_for_timeout(50)
        assert [one.suggested_filename for one in saved] == list(archives)
        for one, names in zip(saved, archives.values(), strict=True):
            if one.suggested_filename.endswith(".zip"):
                with zipfile.ZipFile(one.path()) as archive:
                    assert archive.namelist() == [f"{name}.jpg" for name in names]
            else:
                assert "GPS" not in examine(Path(one.path()).read_bytes()).groups
        if len(archives) > 1:
            expect(page.locator("#said")).to_contain_text(f"in {len(archives)} downloads: one request holds at most")


def test_a_picture_that_cannot_be_cleaned_is_named_and_the_others_are_saved(
    browser: Browser, servers: Callable[..., FunctionServer]
) -> None:
    with visit(browser, f"{servers('exif', EXIF_MAX_FILES='2').url}/exif", accept_downloads=True) as page:
        pictures = {"a.jpg": made.jpeg(), "b.jpg": made.jpeg(), "c.bmp": encoded(gradient(), "BMP")}
        page.set_input_files("#file", [named(name, data) for name, data in pictures.items()])
        expect(page.locator("#count")).to_have_text("3 pictures")
        with page.expect_download() as saved:
            page.click("#zip")
        assert saved.value.suggested_filename == "clean-1.zip"
        expect(page.locator("#failure")).to_contain_text("c.bmp: ")
        expect(page.locator("#zip")).to_be_enabled()


def test_content_credentials_are_shown_as_a_statement(browser: Browser, address: str) -> None:
    with visit(browser, address) as page:
        page.set_input_files("#file", named("signed.jpg", credentials.jpeg(credentials.SIGNED)))
        shown = page.locator(".file section", has=page.get_by_role("heading", name="Content credentials"))
        expect(shown).to_contain_text("Signature present; whether it is to be trusted is not checked.")
        expect(shown.get_by_role("row", name=re.compile("^Authors"))).to_contain_text("Ana Ruiz")
        expect(shown.get_by_role("row", name=re.compile("^Actions"))).to_contain_text("c2pa.cropped · Crop 2b")
        no_serious_violation(page)
