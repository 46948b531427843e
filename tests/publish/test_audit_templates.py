"""Before an auditor the publisher's templates are a stranger's program: whatever they do, the audit ends, and says so."""

import json
from pathlib import Path

import pytest

from builder import inputs as builder_inputs
from builder.site import Inputs
from tests.election import correction, minutes
from tests.publish.test_audit import NIGHT, Published
from tests.publish.workspace import copy_tree, make_workspace
from verifier import limits

LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}"
GROW = "{% set it = namespace(x='12345678') %}{% for a in range(40) %}{% set it.x = it.x ~ it.x %}{% endfor %}"
UNFINISHED, MEMORY = "did not finish within 3 seconds", "memory"
HOSTILE = {
    "loop": ("index.html", LOOP, UNFINISHED),
    "loop-in-area": ("area.html", LOOP, UNFINISHED),
    "loop-in-component": ("components/search.html", LOOP, UNFINISHED),
    "memory": ("index.html", "{{ 'x' * 9999999999 }}", MEMORY),
    "memory-in-area": ("area.html", GROW, MEMORY),
    "error": ("index.html", "{{ 1 // 0 }}", "ZeroDivisionError"),
    "recursion": ("index.html", "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", "RecursionError"),
    "broken": ("area.html", "{% if %}", "area.html, line 1"),
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_templates_that_do_not_end(
    first_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: str
) -> None:
    """Logged templates that loop, eat memory or raise anything are a finding that names the release; the audit ends, with all else that it found."""
    name, code, told = HOSTILE[attack]
    site = Published(copy_tree(first_release, tmp_path / "site"))
    with monkeypatch.context() as inside:
        # What is logged is not what the publisher renders, whose own machine would not end.
        inside.setattr(Inputs, "archived", property(lambda self: archived(self, name, code)))
        site.release(NIGHT + minutes(1), fix=correction())
    monkeypatch.setattr(limits, "AUDIT_BUILD_SECONDS", 3 if told == UNFINISHED else 300)
    monkeypatch.setattr(limits, "AUDIT_WORKER_BYTES", 1_500_000_000)
    done = site.audit("--json")
    assert done.exit_code == 4
    report = json.loads(done.stdout)
    (problem,) = report["problems"]
    assert problem.startswith("release 2 cannot be made again")
    assert told in problem
    assert report["packages"] == 6


def test_templates_that_nobody_can_unpack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logged templates of which one has the name of another one's folder are a finding, as what is no archive is, and no failure of the audit's own disk."""
    site = Published(make_workspace(tmp_path / "site"))
    with monkeypatch.context() as inside:
        inside.setattr(builder_inputs, "_check_name", lambda name, files: None)
        inside.setattr(
            Inputs,
            "archived",
            property(
                lambda self: {
                    "content": self.content_files,
                    "templates": {**self.template_files, "area.html/x": b""},
                }
            ),
        )
        site.release()
    done = site.audit("--json")
    assert (done.exit_code, json.loads(done.stdout)["verified"]) == (4, False)
    assert "another file has the name of its folder" in json.loads(done.stdout)["error"]


def archived(inputs: Inputs, name: str, code: str) -> dict[str, dict[str, bytes]]:
    templates = {**inputs.template_files, name: code.encode() + inputs.template_files[name]}
    return {"content": inputs.content_files, "templates": templates}
