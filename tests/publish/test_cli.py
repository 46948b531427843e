"""`terbit` as an operator runs it: stage by stage, and with wrong input. tests/test_docs.py has the way from nothing to a public site."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.election import correction, package, row, write_package
from tests.publish.workspace import deliver, make_workspace, publish


def terbit(*words: object) -> subprocess.CompletedProcess[str]:
    program = "from publish.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, words)], capture_output=True, text=True, check=False, cwd=Path.cwd()
    )


def test_stage_by_stage(tmp_path: Path) -> None:
    """intake, build, sign and push by themselves publish what `terbit publish` would."""
    workspace = make_workspace(tmp_path)
    deliver(workspace)
    for command in ("intake", "build", "sign", "push"):
        done = terbit(command, "-C", workspace)
        assert done.returncode == 0, (command, done.stderr)
    assert json.loads((workspace / "public" / "uji" / "latest.json").read_text())["release"] == 1


def test_build_unpacked(tmp_path: Path) -> None:
    """`terbit build --out` leaves plain files to look at and publishes nothing."""
    workspace = make_workspace(tmp_path)
    deliver(workspace)
    assert terbit("intake", "-C", workspace).returncode == 0
    assert terbit("build", "-C", workspace, "--out", tmp_path / "preview").returncode == 0
    assert (tmp_path / "preview" / "ppwp" / "1101" / "110101.html").exists()
    assert not (workspace / "public" / "uji").exists()


def test_refused_package(tmp_path: Path) -> None:
    """A refused package exits with 1, names line, field and rule, lies aside with its report, and stops nothing else."""
    workspace = make_workspace(tmp_path)
    deliver(workspace)
    publish(workspace)
    bad = package("1101", [row("110101", 1, 5, 5, revision=2), row("120101", 1, 5, 5, revision=2)], reason="court")
    deliver(workspace, {"bad": bad, "good": correction("110102", 3)})
    done = terbit("publish", "-C", workspace, "--json")
    assert done.returncode == 1
    assert (
        "rows.csv, line 3, field area: '120101' does not lie in the area that the cover names [out-of-scope]"
        in done.stderr
    )
    assert json.loads(done.stdout)["release"] == 2
    report = json.loads((workspace / "inbox" / "refused" / "bad.report.json").read_text())
    assert [one["rule"] for one in report["refused"]] == ["out-of-scope"]
    assert (workspace / "inbox" / "refused" / "bad" / "recap.toml").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("publish", "-C", "{empty}"), 1, "terbit.toml"),
        (("intake", "-C", "{workspace}", "{empty}/nothing.zip"), 1, "is not there"),
        (("publish", "--no-such-option"), 2, "No such option"),
        (("init", "{workspace}"), 1, "is not empty"),
    ],
    ids=["no workspace", "no such file", "usage", "init over something"],
)
def test_wrong_input(tmp_path: Path, words: tuple[str, ...], code: int, said: str) -> None:
    """Wrong input ends with one clear line on stderr, the right exit code, and no traceback."""
    workspace = make_workspace(tmp_path / "workspace")
    (tmp_path / "empty").mkdir()
    done = terbit(*(word.format(empty=tmp_path / "empty", workspace=workspace) for word in words))
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_same_package_again(tmp_path: Path) -> None:
    """Handing in the same package again is known, changes nothing, and is no error."""
    workspace = make_workspace(tmp_path / "workspace")
    folder = write_package(tmp_path / "again", correction())
    deliver(workspace)
    publish(workspace)
    first = json.loads(terbit("intake", "-C", workspace, folder, "--json").stdout)
    second = terbit("intake", "-C", workspace, folder, "--json")
    told = json.loads(second.stdout)
    assert second.returncode == 0
    assert (len(first["accepted"]), len(told["accepted"]), len(told["known"])) == (1, 0, 1)
