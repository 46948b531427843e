"""The published JSON Schema describes every results file that we publish, and refuses others."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.election import NIGHT, correction, minutes, package, row
from tests.publish.workspace import deliver, make_workspace, publish


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two releases: the first counts, then a correction, a withdrawal and a revised recap. Objects of both are kept."""
    workspace = make_workspace(tmp_path_factory.mktemp("schema"))
    deliver(workspace)
    publish(workspace)
    withdrawn = package("1102", [row("110201", 1, 0, 0, revision=2, state="withdrawn")], reason="court")
    recap = package("11", ["11,,2,,600,552,,,1152,"], series="recap", tier="provinsi", reason="transcription")
    deliver(workspace, {"corrected": correction(), "withdrawn": withdrawn, "recap": recap})
    report, _ = publish(workspace, NIGHT + minutes(5))
    assert not report.refused
    return workspace / "public" / "uji"


@pytest.fixture(scope="module")
def validator(site: Path) -> Draft202012Validator:
    return Draft202012Validator(json.loads((site / "schema" / "results.json").read_bytes()))


def results(site: Path) -> dict[str, dict[str, Any]]:
    """Every results file of both releases, by the path of its object."""
    objects = sorted((site / "targets" / "ppwp").rglob("*.json"))
    return {path.relative_to(site).as_posix(): json.loads(path.read_bytes()) for path in objects}


def test_schema_is_a_schema(validator: Draft202012Validator) -> None:
    """The schema itself is valid JSON Schema of 2020-12, and says so."""
    Draft202012Validator.check_schema(validator.schema)
    assert validator.schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_results_file(site: Path, validator: Draft202012Validator) -> None:
    """Every results file of a first release and of its corrections is what the schema says."""
    found = results(site)
    assert {one["release"] for one in found.values()} == {1, 2}
    assert len(found) == 16 + 6  # all areas; then two villages, their regencies, the province and the nation again
    problems = {path: error.message for path, one in found.items() for error in validator.iter_errors(one)}
    assert problems == {}


def test_what_the_releases_hold(site: Path) -> None:
    """The files that were checked hold each state: corrected and withdrawn rows, revised and missing recaps, sums below."""
    last = {one["path"]: one for one in results(site).values() if one["release"] == 2}
    assert last["ppwp/1102/110201.json"]["stations"]["withdrawn"] == 1
    assert last["ppwp/1101/110101.json"]["revisions"][0]["reason"] == "transcription"
    assert last["ppwp/11.json"]["recap"]["revision"] == 2
    assert last["ppwp/1101/110101.json"]["recap"] is None
    assert last["ppwp/0.json"]["below"]["handed_in"] == 1
    assert last["ppwp/0.json"]["difference"] is None
    progress = {path: one["progress"]["rows"] for path, one in last.items() if "progress" in one}
    assert {path: [row[0:1] + row[2:] for row in rows] for path, rows in progress.items()} == {
        "ppwp/0.json": [[1, 24, 2433, 2208], [2, 23, 2312, 2135]],
        "ppwp/11.json": [[1, 12, 1206, 1104], [2, 11, 1085, 1031]],
    }


CHANGES: dict[str, dict[str, Any]] = {
    "another format": {"format": "terbit-results-2"},
    "an unknown member": {"winner": 1},
    "a figure as text": {"release": "1"},
    "a broken number": {"release": 1.5},
    "an unknown status": {"count": {"status": "final", "votes": [1, 2], "fields": [1, 2, 3, 4]}},
    "progress of one point": {"progress": {"columns": [], "rows": [[1, "2026-11-03T12:00:00Z", 1, 1, 1]]}},
    "progress without a time": {"progress": {"columns": [], "rows": [[1, 0, 1, 1, 1], [2, 0, 1, 1, 1]]}},
    "a negative vote": {"count": {"status": "unofficial-partial", "votes": [-1, 2], "fields": [1, 2, 3, 4]}},
}


@pytest.mark.parametrize("name", CHANGES)
def test_wrong_results(site: Path, validator: Draft202012Validator, name: str) -> None:
    """A file that is not what docs/formats.md says is refused."""
    right = json.loads((site / "ppwp" / "0.json").read_bytes())
    assert validator.is_valid(right)
    assert not validator.is_valid(right | CHANGES[name])


def test_every_member_is_required(site: Path, validator: Draft202012Validator) -> None:
    """A results file that lacks any of its members is refused, but for how the count came in, which few areas have."""
    right = json.loads((site / "ppwp" / "0.json").read_bytes())
    lacking = {name: {key: value for key, value in right.items() if key != name} for name in right}
    assert [name for name, one in lacking.items() if validator.is_valid(one)] == ["progress"]
