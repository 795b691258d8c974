"""The report: figure, numbers, verdicts, two runs beside one another, and the page in a browser."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import re
from pathlib import Path

import pytest
from PIL import Image

from loadtest.__main__ import summarise
from loadtest.generators.closed_loop import Request
from loadtest.lab import Run
from loadtest.observe.pods import Sample, write_samples
from loadtest.report.archive import ArchiveError, earlier, keep
from loadtest.report.document import verdict_line, write
from loadtest.report.figure import DARK, draw, seconds
from loadtest.verdict import Verdict
from tests.browser import chromium, no_serious_violation, no_sideways_scrolling, picture, visit


def request(sent: float, latency: float, status: int = 200, **more: object) -> Request:
    return Request(id=f"r{sent}", sent=sent, done=sent + latency, status=status, **more)  # type: ignore[arg-type]


def sample(at: float, ready: int, desired: int | None = None, panic: bool = False) -> Sample:
    return Sample(at=at, ready=ready, desired=desired, in_panic=panic, in_flight=float(ready))


@pytest.fixture
def run() -> Run:
    made = Run("step", started=1000.0, ended=1020.0)
    made.requests = [request(1000 + number / 10, 0.05 + number / 1000) for number in range(150)]
    made.requests += [request(1010.0, 0.2, 503), request(1000.0, 1.5, cold=True)]
    made.samples = [sample(1000 + number / 4, min(3, number // 10), 3, 20 < number < 40) for number in range(80)]
    made.offered = [(1000.0, 5.0), (1010.0, 20.0)]
    made.expected = [(1000.0, 1), (1010.0, 3)]
    made.events = [(1012.0, "kill", "kill -9")]
    made.measured = {"service_seconds": 0.1}
    return made


def test_report_holds_figure_verdicts_and_files(run: Run, tmp_path: Path) -> None:
    verdict = Verdict("step")
    verdict.at_most("requests failed", 1, 0)
    verdict.at_least("<script>alert(1)</script>", 1, 1)
    (tmp_path / "step").mkdir()
    write_samples(run.samples, tmp_path / "step" / "samples.jsonl")
    summary = json.loads(json.dumps(summarise([(run, verdict)])))
    write([(run, verdict)], summary, tmp_path, None)
    assert (tmp_path / "load.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "report.html").read_text()
    assert "data:image/png;base64," in page
    assert "<script" not in page
    assert 'class="FAIL"' in page
    assert "step/samples.jsonl" in page
    assert not re.findall(r'(?:src|href)="?(?:https?:)?//', page)
    lines = (tmp_path / "report.md").read_text().splitlines()
    assert lines[0] == "# Load test: FAILED"
    assert "| step | FAIL | requests failed 1, not ≤ 0 |" in lines
    assert (summary["passed"], summary["measured"]) == (False, {"service_seconds": 0.1})


@pytest.fixture
def no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report whose figure is not looked at takes one of one pixel: four take seconds to draw."""
    buffer = io.BytesIO()
    Image.new("L", (1, 1)).save(buffer, "PNG")
    monkeypatch.setattr("loadtest.report.document.draw", lambda *_, **__: buffer.getvalue())


@pytest.mark.usefixtures("no_figure")
def test_two_runs_compare(run: Run, tmp_path: Path) -> None:
    before, after = Verdict("step"), Verdict("step")
    before.at_most("requests failed", 7, 0)
    after.at_most("requests failed", 0, 0)
    then = summarise([(run, before)])
    write([(run, after)], summarise([(run, after)]), tmp_path, then)
    assert "| step | pass | requests failed 0 ≤ 0 | 7 | -100% |" in (tmp_path / "report.md").read_text()
    page = (tmp_path / "report.html").read_text()
    assert "<td>7</td><td>-100%</td>" in page
    assert "compared with the run of" in page


@pytest.mark.usefixtures("no_figure")
def test_an_earlier_report_is_drawn_on_the_same_axes(run: Run, tmp_path: Path) -> None:
    """What is kept is read again as it was, and changes the figure."""
    (tmp_path / "before" / "step").mkdir(parents=True)
    verdict = Verdict("step")
    verdict.at_most("requests failed", 7, 0)
    run.flood = [request(1015.0, 0.1, 503)]
    keep(run, tmp_path / "before" / "step")
    (tmp_path / "before" / "verdict.json").write_text(json.dumps(summarise([(run, verdict)])))
    summary, runs = earlier(tmp_path / "before")
    assert runs == {"step": dataclasses.replace(run, measured={}, lag=runs["step"].lag)}
    now = dataclasses.replace(run, samples=run.samples[:40])
    assert draw([(now, verdict)], before=runs) != draw([(now, verdict)])
    (tmp_path / "now").mkdir()
    write([(now, verdict)], summarise([(now, verdict)]), tmp_path / "now", summary, runs)
    assert "compared with the run of" in (tmp_path / "now" / "report.html").read_text()
    for broken in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(ArchiveError):
            earlier(broken)
    (tmp_path / "before" / "step" / "requests.jsonl").write_text("{")
    with pytest.raises(ArchiveError, match="no finished run of step"):
        earlier(tmp_path / "before")


@pytest.mark.usefixtures("no_figure")
def test_a_run_that_never_began_is_reported(tmp_path: Path) -> None:
    verdict = Verdict("step", invalid=["the engine ended"])
    assert draw([(Run("step"), verdict)]).startswith(b"\x89PNG")
    write([(Run("step"), verdict)], summarise([(Run("step"), verdict)]), tmp_path, None)
    assert "the engine ended" in (tmp_path / "report.html").read_text()


def test_the_numbers_are_those_of_the_run(run: Run) -> None:
    rows = seconds(run)
    assert len(rows) == 21
    assert sum(row.answered for row in rows) == 151
    assert [(row.second, row.refused) for row in rows if row.refused] == [(10, 1)]
    assert not any(row.failed for row in rows)
    assert rows[1].latency[2] == pytest.approx(1500.0)  # the cold start is the slowest of its second
    assert rows[19].latency == (None, None, None)
    assert [rows[at].offered for at in (0, 9, 10, 19)] == [5.0, 5.0, 20.0, 20.0]
    assert [rows[at].expected for at in (0, 19)] == [1, 3]
    assert (rows[5].ready, rows[5].desired, rows[20].ready) == (2, 3, None)
    assert [(row.second, row.events) for row in rows if row.events] == [(12, ("kill -9",))]


def test_the_figure_grows_by_rows_and_has_a_narrow_form(run: Run) -> None:
    kept = Verdict("step")
    kept.at_most("requests failed", 0, 0)
    sizes = {}
    for count, narrow in ((1, False), (5, False), (6, False), (1, True)):
        drawn = draw([(run, kept)] * count, DARK, narrow=narrow)
        with Image.open(io.BytesIO(drawn)) as image:
            sizes[count, narrow] = image.size
            assert image.convert("RGB").getpixel((0, 0)) == (0x14, 0x17, 0x1C)
    assert sizes[6, False][1] == 2 * sizes[1, False][1]
    assert 1.3 * sizes[1, False][1] < sizes[1, False][0] < sizes[5, False][0]
    assert sizes[6, False][0] < sizes[5, False][0], "two rows of three"
    assert sizes[1, True][0] < sizes[1, True][1]


def test_one_line_summarises_the_run(run: Run) -> None:
    good, bad = Verdict("step"), Verdict("kill", invalid=["the generator was late"])
    good.at_most("requests failed", 0, 0)
    line = verdict_line(summarise([(run, good), (Run("kill"), bad)]))
    assert line == "1 of 2 scenarios passed, 1 of 1 checks passed, 152 requests; INVALID: kill"


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_the_page_in_a_browser(run: Run, tmp_path: Path, scheme: str, size: str) -> None:
    good, bad = Verdict("step"), Verdict("kill")
    good.at_most("requests failed", 0, 0)
    bad.at_most("requests failed", 12, 0, note="12 × 502")
    bad.invalid.append("the generator was 0.71 s late at p99")
    (tmp_path / "step").mkdir()
    write_samples(run.samples, tmp_path / "step" / "samples.jsonl")
    played = [(run, good), (run, bad)]
    write(played, summarise(played), tmp_path, None)
    with chromium() as browser, visit(browser, (tmp_path / "report.html").as_uri(), size, scheme) as page:
        picture(page, f"report-{size}-{scheme}")
        no_sideways_scrolling(page)
        no_serious_violation(page)
        shown = page.evaluate("document.querySelector('picture img').currentSrc")
        with Image.open(io.BytesIO(base64.b64decode(shown.partition(",")[2]))) as image:
            assert (image.width < image.height) is (size == "narrow")
            assert (sum(image.convert("RGB").getpixel((0, 0))) < 128) is (scheme == "dark")
        assert page.locator("details[open]").count() == 1  # the scenario that did not pass
        page.get_by_text("second by second").first.click()
        assert page.locator("details[open] tbody tr").count() >= 20
