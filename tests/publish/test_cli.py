"""`terbit` as an operator runs it: stage by stage, and with wrong input. tests/test_docs.py has the way from nothing to a public site."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import builder
from builder.site import packaged_templates, read_tree
from tests.election import correction, package, row, write_package
from tests.publish.workspace import copy_tree, deliver, make_workspace, publish, tree


def terbit(*words: object) -> subprocess.CompletedProcess[str]:
    program = "from publish.cli.main import main; main()"
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
    (workspace / "inbox" / "rows.csv").write_text("")
    done = terbit("publish", "-C", workspace, "--json", "--yes")
    assert done.returncode == 1
    assert f"lies in {workspace / 'inbox' / 'refused' / 'bad'} now" in done.stderr
    assert f"{workspace / 'inbox' / 'rows.csv'} is left alone" in done.stderr
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


def test_own_templates(tmp_path: Path) -> None:
    """`terbit templates` copies the program's own, with which a workspace builds; a folder that lacks some is refused with their names and this command."""
    workspace = make_workspace(tmp_path / "workspace")
    made = terbit("templates", workspace / "own")
    assert (made.returncode, made.stdout) == (0, f"{workspace / 'own'}\n")
    assert "templates = " in made.stderr
    assert read_tree(workspace / "own") == read_tree(packaged_templates())
    assert terbit("templates", workspace / "own").returncode == 1
    (workspace / "terbit.toml").write_text('workers = 1\ntemplates = "own"\n')
    deliver(workspace)
    assert terbit("publish", "-C", workspace).returncode == 0
    (workspace / "own/texts/id.toml").unlink()
    (workspace / "own/card.svg").unlink()
    done = terbit("build", "-C", workspace)
    assert done.returncode == 1
    assert done.stderr == (
        f"terbit: {workspace / 'own'}: a folder of templates must be complete, and has no card.svg, texts/id.toml (2 missing); "
        "copy what it lacks from a fresh set, which this makes: terbit templates NEW [templates]\n"
    )


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


def test_build_tells_what_would_change(tmp_path: Path) -> None:
    """`terbit build` prints the folder, and says which parts of the site the release would change, or that none would."""
    workspace = make_workspace(tmp_path)
    deliver(workspace)
    assert terbit("intake", "-C", workspace).returncode == 0
    done = terbit("build", "-C", workspace, "--out", tmp_path / "preview")
    assert done.stdout == f"{tmp_path / 'preview'}\n"
    assert "Release 1 would bring" in done.stderr
    assert "ppwp-1101 8" in done.stderr
    assert terbit("push", "-C", workspace).returncode == 0
    assert "Release 1 is public already" in terbit("build", "-C", workspace).stderr


def test_demo_leaves_a_workspace_alone(tmp_path: Path) -> None:
    """`terbit demo` deletes nothing in a folder that it did not make, whatever lies there."""
    workspace = make_workspace(tmp_path / "workspace")
    before = tree(workspace)
    done = terbit("demo", workspace)
    assert (done.returncode, tree(workspace)) == (1, before)
    assert "not a demo; name another folder" in done.stderr


def test_demo_again_where_we_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`terbit demo .` works, and again, in the folder that it made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(builder.__file__).parents[1]))
    for _ in range(2):
        done = terbit("demo", ".")
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "public" / "contoh-2029" / "latest.json").exists()


def test_no_permission_to_write(first_release: Path, tmp_path: Path) -> None:
    """A folder that cannot be written ends in one line that names it, not in a traceback, and what is public stays."""
    workspace = copy_tree(first_release, tmp_path / "workspace")
    before = tree(workspace / "public")
    deliver(workspace, {"new": correction()})
    shutil.rmtree(workspace / "build")
    (workspace / "build").write_text("in the way")
    done = terbit("publish", "-C", workspace)
    assert done.returncode == 1
    assert f"terbit: {workspace / 'build'}: File exists. What was published stays whole" in done.stderr
    assert "Traceback" not in done.stderr
    assert tree(workspace / "public") == before


def test_short_help() -> None:
    """`-h` is `--help`."""
    assert "Example:" in terbit("-h").stdout
