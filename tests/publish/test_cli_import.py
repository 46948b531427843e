"""`terbit import`: data on stdout, the rest on stderr, nothing left by a failed command."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from builder.errors import ImporterError
from builder.importers.delivery import ImportReport
from publish.cli.imports import import_group
from tests.builder.elections import SMALL_AREAS, SMALL_TOML

MAP = """\
contest = "ppwp"
series = "count"
by = "test"
[columns]
area = "area"
station = "station"
votes_1 = "a"
votes_2 = "b"
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    content = tmp_path / "content"
    content.mkdir()
    (content / "election.toml").write_text(SMALL_TOML)
    (content / "areas.csv").write_text(SMALL_AREAS)
    (tmp_path / "terbit.toml").write_text("")
    (tmp_path / "map.toml").write_text(MAP)
    (tmp_path / "data.csv").write_text("area,station,a,b\n111,1,2,3\n121,1,4,5\n999,1,6,7\n")
    return tmp_path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(import_group, [str(argument) for argument in arguments])


def import_data(workspace: Path, *more: str | Path) -> Result:
    return run("csv", workspace / "data.csv", "--map", workspace / "map.toml", "-C", workspace, *more)


def test_packages_on_stdout(workspace: Path) -> None:
    """The packages' paths go to stdout, what happened to stderr; the rejects lie beside, and for them it exits with 1."""
    result = import_data(workspace)
    assert result.exit_code == 1
    folders = [Path(text) for text in result.stdout.splitlines()]
    assert [folder.parent for folder in folders] == [workspace / "inbox"] * 2
    assert all((folder / "recap.toml").exists() for folder in folders)
    rejects = workspace / "inbox" / "refused" / "ppwp-count-data.csv.rejects.csv"
    assert "3 rows read, 2 packages written" in result.stderr
    assert "line 4, field area: '999' no such area in areas.csv [unknown-area]" in result.stderr
    assert str(rejects) in result.stderr
    assert rejects.exists()


def test_report_as_json(workspace: Path) -> None:
    """With --json stdout is one JSON object."""
    report = json.loads(import_data(workspace, "--json", "--out", workspace / "elsewhere").stdout)
    assert (report["rows"], report["rejected"], len(report["packages"])) == (3, 1, 2)
    assert not (workspace / "inbox").exists()


def test_unknown_map(workspace: Path) -> None:
    """A map that is not there is an error of ours, which names those that are."""
    result = run("csv", workspace / "data.csv", "--map", "kpu-2014", "-C", workspace)
    assert isinstance(result.exception, ImporterError)
    assert "kpu-2019-ppwp" in str(result.exception)


def test_wrong_map_is_named(workspace: Path) -> None:
    """A map that does not fit the election is named with its key."""
    path = workspace / "map.toml"
    path.write_text(MAP.replace("votes_1", "vote_1"))
    said = str(import_data(workspace).exception)
    assert said.startswith(f"{path}, field columns.vote_1: ")
    assert "lack votes_1" in said


def test_withdrawals_want_yes(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--withdraw-missing allows 5 % of the known rows, and all of them with --yes."""
    allowed = []

    def note(*_: object, withdraw_missing: float, **__: object) -> ImportReport:
        allowed.append(withdraw_missing)
        return ImportReport((), 0, 0, 0, 0, 0, None)

    monkeypatch.setattr("builder.importers.delivery.import_results", note)
    for options in ([], ["--withdraw-missing"], ["--withdraw-missing", "--yes"], ["--yes"]):
        import_data(workspace, *options)
    assert allowed == [0, 0.05, 1, 0]


def test_areas(workspace: Path) -> None:
    """Areas are written to the named file; a broken source leaves the old one as it is."""
    source, output = workspace / "wilayah.csv", workspace / "areas.csv"
    source.write_text("kode,nama,max_tps,ext_begin,ext_end\n11,ACEH,,,\n")
    result = run("areas", source, "--map", "kpu-2024-areas", "-o", output)
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{output}\n", "2 areas\n")
    before = output.read_bytes()
    source.write_text("kode,nama,max_tps,ext_begin,ext_end\n111,ACEH,,,\n")
    assert run("areas", source, "--map", "kpu-2024-areas", "-o", output).exit_code == 1
    assert output.read_bytes() == before


def test_candidates(workspace: Path) -> None:
    """Candidates' ids can be given beside the map; a wrong form is a usage error."""
    folder = workspace / "tps"
    folder.mkdir()
    (folder / "111000000001.json").write_text('{"chart": {"7": 1, "8": 2}, "administrasi": null}')
    map_ = workspace / "ids.toml"
    map_.write_text('contest = "ppwp"\nby = "test"\narea_digits = 3\ncandidates = { 7 = 1 }\n')
    arguments = ("sirekap", folder, "--map", map_, "-C", workspace)
    assert run(*arguments, "--candidates", "8").exit_code == 2
    assert "unknown candidate id '8'" in str(run(*arguments).exception)
    result = run(*arguments, "--candidates", "8=2")
    (package,) = result.stdout.splitlines()
    assert (Path(package) / "rows.csv").read_text().splitlines()[1].startswith("111,000000001,1,,1,2,")
