"""The command: what it prints, in each format, and its exit status."""

import json
import sys
from pathlib import Path

import pytest

from knative.__main__ import main
from knative.local.check.command import Report, as_github, check
from knative.local.manifests.findings import Finding, Level

HERE = Path(__file__).parent
ROOT = HERE.parents[3]
REFUSED = str(HERE / "offending" / "numbers.yaml")
WARNED = str(HERE / "offending" / "warnings-scaling.yaml")


def run(capsys, *arguments):
    status = main(["check", *arguments])
    return status, capsys.readouterr().out


@pytest.mark.parametrize("path", sorted((HERE / "samples").glob("*.yaml")), ids=lambda path: path.stem)
def test_documented_samples_are_taken(path):
    report = check([str(path)])
    assert report.objects >= 2
    assert [str(finding) for finding in report.findings if finding.level is Level.ERROR] == []


def test_our_own_manifests_pass_without_a_warning(capsys):
    status, out = run(capsys, "--strict", str(ROOT / "knative"))
    assert status == 0
    assert out == "3 objects: 0 errors, 0 warnings\n"


def test_text_is_one_line_a_finding_that_an_editor_can_follow(capsys):
    status, out = run(capsys, REFUSED)
    first = out.splitlines()[0]
    path = "spec.template.spec.timeoutSeconds"
    assert status == 1
    assert first.startswith(f"{REFUSED}:11:7: error: Service/timeout: expected 0 <= 601 <= 600: {path} [refused]")
    assert out.splitlines()[-1] == "3 objects: 3 errors, 0 warnings, 3 notes"


def test_json_has_the_numbers_and_each_finding(capsys):
    status, out = run(capsys, "--format", "json", REFUSED)
    report = json.loads(out)
    assert status == 1
    assert (report["objects"], report["errors"], report["warnings"]) == (3, 3, 0)
    assert report["findings"][0] == {
        "file": REFUSED,
        "line": 11,
        "column": 7,
        "level": "error",
        "rule": "refused",
        "object": "Service/timeout",
        "message": "expected 0 <= 601 <= 600",
        "paths": ["spec.template.spec.timeoutSeconds"],
        "details": "",
    }


def test_github_annotations_name_file_line_and_title(capsys):
    status, out = run(capsys, "--format", "github", REFUSED)
    assert status == 1
    assert out.splitlines()[0] == (
        f"::error file={REFUSED},line=11,col=7,title=Service/timeout refused"
        "::expected 0 <= 601 <= 600: spec.template.spec.timeoutSeconds"
    )


def test_github_annotations_escape_what_would_end_them():
    finding = Finding("50 % off:\nno, really", level=Level.WARNING, rule="a,b", subject="Service/x")
    report = check([]).__class__((finding,), 1)
    assert as_github(report) == "::warning title=Service/x a%2Cb::50 %25 off:%0Ano, really"


def test_warnings_fail_only_where_they_are_asked_to(capsys):
    assert run(capsys, WARNED)[0] == 0
    assert run(capsys, "--strict", WARNED)[0] == 1


def test_notes_are_counted_and_fail_nothing(capsys):
    status, out = run(capsys, "--strict", "--ignore", "twice", str(HERE / "offending" / "notes-duplex.yaml"))
    assert status == 1  # for the one warning
    assert out.splitlines()[-1] == "7 objects: 0 errors, 1 warning, 2 notes"
    only_notes = Report((Finding("x", level=Level.NOTE, rule="full-duplex"),), 1)
    assert as_github(only_notes).startswith("::notice title=full-duplex::")


def test_a_rule_can_be_left_out_and_a_refusal_cannot(capsys):
    _, out = run(capsys, "--ignore", "no-max-scale", WARNED)
    assert "[no-max-scale]" not in out
    assert "[two-pods-for-one]" in out
    with pytest.raises(SystemExit) as exit_status:
        main(["check", "--ignore", "refused", REFUSED])
    assert exit_status.value.code == 2


def test_a_file_that_is_not_there_is_an_error(capsys, tmp_path):
    status, out = run(capsys, str(tmp_path / "nowhere.yaml"))
    assert status == 1
    assert "cannot read: No such file or directory" in out


def test_a_file_without_an_end_is_an_error_that_names_the_limit(capsys):
    status, out = run(capsys, "/dev/zero")
    assert status == 1
    assert "longer than 16,777,216 bytes, the limit of a file" in out


def test_every_mistake_of_a_file_is_found_in_one_run():
    report = check([str(path) for path in sorted((HERE / "offending").glob("*.yaml"))])
    assert len({finding.position.file for finding in report.findings}) == len(list((HERE / "offending").iterdir()))


def test_objects_of_other_groups_are_counted_as_not_checked(capsys, tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {}\n")
    status, out = run(capsys, str(path))
    assert (status, out) == (0, "1 object: 0 errors, 0 warnings, 1 not checked\n")
    assert json.loads(run(capsys, "--format", "json", str(path))[1])["not_checked"] == 1


def test_sarif_names_rule_level_file_and_line_of_each_finding(capsys):
    status, out = run(capsys, "--format", "sarif", REFUSED)
    document = json.loads(out)
    (result,) = document["runs"]
    first = result["results"][0]
    place = first["locations"][0]["physicalLocation"]
    assert status == 1
    assert document["version"] == "2.1.0"
    assert (first["ruleId"], first["level"]) == ("refused", "error")
    assert result["tool"]["driver"]["rules"][first["ruleIndex"]] == {"id": "refused"}
    assert first["message"]["text"].startswith("Service/timeout: expected 0 <= 601 <= 600")
    assert place == {"artifactLocation": {"uri": REFUSED}, "region": {"startLine": 11, "startColumn": 7}}
    levels = [item["level"] for item in result["results"]]
    assert (levels.count("error"), levels.count("note"), len(levels)) == (3, 3, 6)


def test_the_work_grows_with_the_manifests_and_not_faster(tmp_path):
    """Twice the objects cost about twice the calls."""

    def calls(count):
        path = tmp_path / f"{count}.yaml"
        text = (HERE / "samples" / "sources.yaml").read_text()
        path.write_text(
            "\n---\n".join(text.replace("metadata: {name: ", f"metadata: {{name: n{n}-") for n in range(count))
        )
        made = 0

        def count_call(_frame, event, _argument):
            nonlocal made
            made += event == "call"

        sys.setprofile(count_call)
        try:
            report = check([str(path)])
        finally:
            sys.setprofile(None)
        assert report.objects == 19 * count
        return made

    assert calls(20) < 2.5 * calls(10)
