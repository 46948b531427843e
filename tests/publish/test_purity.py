"""The site is a function of ledger, definition, content, templates and keys: same inputs, same bytes."""

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from builder.errors import DefinitionError
from builder.site import packaged_templates
from publish.cli.keys import keys
from publish.errors import SigningError
from publish.progress import Stages
from publish.release import packs
from publish.release.flow import Flow
from publish.workspace import Workspace
from tests.election import NIGHT, correction, minutes, package, row
from tests.publish.workspace import copy_tree, deliver, publish, tree

# Signed by the clock, not by the inputs.
CLOCK = ("timestamp.json", "latest.json")


@pytest.fixture
def copy(published: Path, tmp_path: Path) -> Path:
    return copy_tree(published, tmp_path / "copy")


def rebuilt(workspace: Path) -> dict[str, str]:
    """The public tree after everything that can be deleted was deleted."""
    shutil.rmtree(workspace / "build")
    shutil.rmtree(workspace / "public")
    publish(workspace, NIGHT + minutes(6))
    return tree(workspace / "public", leave_out=CLOCK)


def current(workspace: Path) -> dict[str, str]:
    """What the newest release is made of: all but superseded objects and metadata, and the log, which grows."""
    election = workspace / "public" / "uji"
    metadata = election / "metadata"
    release = json.loads((election / "latest.json").read_text())["release"]
    snapshot = json.loads((metadata / f"{release}.snapshot.json").read_text())["signed"]["meta"]
    names = {f"{meta['version']}.{name}" for name, meta in snapshot.items()} | {
        f"{release}.snapshot.json",
        f"{release}.snapshot.json.tlog-proof",
        "1.root.json",
    }
    kept = tree(workspace / "public", leave_out=CLOCK)
    aliases = {path for path in kept if not any(part in path for part in ("/targets/", "/metadata/", "/log/"))}
    packs = {path for path in kept if "/targets/packs/" in path and f".{release}-" in path}
    assert packs
    return {path: kept[path] for path in sorted(aliases | packs | {f"uji/metadata/{name}" for name in names})}


def test_rebuild_from_nothing(copy: Path) -> None:
    """With every cache and the public tree deleted, a rebuild gives the same bytes, metadata included."""
    before, log = current(copy), tree(copy / "public" / "uji" / "log")
    after = rebuilt(copy)
    assert tree(copy / "public" / "uji" / "log") == log
    after = {path: digest for path, digest in after.items() if "/log/" not in path}
    assert {path: digest for path, digest in after.items() if path in before} == before
    assert set(after) - set(before) == {path for path in after if "/targets/" in path} - set(before)


@pytest.mark.parametrize(
    "environment",
    [
        {"TZ": "Asia/Jayapura", "PYTHONHASHSEED": "1"},
        {"TZ": "America/Los_Angeles", "LC_ALL": "C", "PYTHONHASHSEED": "2"},
        {"LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "3", "POLARS_MAX_THREADS": "1", "TERBIT_TEST_WORKERS": "2"},
    ],
    ids=["Jayapura", "Los Angeles in C", "two processes"],
)
def test_other_surroundings(copy: Path, environment: dict[str, str]) -> None:
    """Another folder, time zone, locale, hash seed and number of processes give the same bytes."""
    before = current(copy)
    if workers := environment.get("TERBIT_TEST_WORKERS"):
        (copy / "terbit.toml").write_text(f"workers = {workers}\n")
    shutil.rmtree(copy / "build")
    shutil.rmtree(copy / "public")
    script = (
        "import publish.release.jobs; publish.release.jobs.FEW_ROLES = 1\n"
        "from pathlib import Path; from tests.publish.workspace import publish; from tests.election import NIGHT, minutes\n"
        "if __name__ == '__main__': publish(Path(sys.argv[1]), NIGHT + minutes(6))\n"
    )
    program = copy / "run.py"
    program.write_text(f"import sys; sys.path.insert(0, {str(Path.cwd())!r})\n{script}")
    subprocess.run([sys.executable, program, copy], check=True, env={**os.environ, **environment}, cwd=copy)
    after = tree(copy / "public", leave_out=CLOCK)
    assert {path: after.get(path) for path in before} == before


def test_packs_from_several_processes(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packs are the same, byte for byte, whether one process writes them or three do."""
    shutil.rmtree(copy / "build")
    shutil.rmtree(copy / "public")
    monkeypatch.setattr(packs, "PACK_LENGTH", 100_000)
    (copy / "terbit.toml").write_text("workers = 3\n")
    with Flow(Workspace(copy), Stages(quiet=True), NIGHT + minutes(6)) as flow:
        flow.keyring.unlock()
        state = flow.sign()
        alone, listed = tree(flow.draft.packs), set(flow.draft.pack_paths)
        assert len(alone) > 3
        flow.workers.start()
        again = packs.write_packs(flow.site, flow.draft, state, flow.runner, None, None)
        assert tree(flow.draft.packs) == alone
        assert set(again) == listed


def test_only_what_changed(first_release: Path, tmp_path: Path) -> None:
    """A corrected station changes its village and the areas above, what shows or holds these, the front page, the feeds, and nothing else."""
    workspace = copy_tree(first_release, tmp_path / "workspace")
    before = tree(workspace / "public")
    deliver(workspace, {"correction": correction()})
    publish(workspace, NIGHT + minutes(5))
    after = tree(workspace / "public")
    changed = {path for path in before if before[path] != after.get(path)}
    pages = {
        f"uji/ppwp/{area}.{kind}"
        for area in ("0", "11", "1101/1101", "1101/110101")
        for kind in ("html", "json", "json.minisig")
    }
    pages |= {f"uji/embed/ppwp/{area}.html" for area in ("0", "11", "1101/1101")}
    pages |= {f"uji/data/ppwp/{file}" for file in ("0.html", "0.cdf.json", "0.datapackage.json", "0.dataset.jsonld")}
    pages |= {
        f"uji/data/ppwp/{table}.{kind}"
        for table in ("0.areas", "11.areas", "11.stations")
        for kind in ("csv.gz", "parquet")
    }
    pages |= {"uji/feeds/releases.atom", "uji/feeds/corrections.atom"}
    assert changed == pages | {"uji/index.html", "uji/latest.json", "uji/log/checkpoint", "uji/metadata/timestamp.json"}
    added = {path.rsplit("/", 1)[1] for path in set(after) - set(before) if "/metadata/" in path}
    roles = ("ppwp", "ppwp-1101", "ppwp-data-files", "site", "snapshot")
    assert added == {"2.snapshot.json.tlog-proof", *(f"2.{role}.json" for role in roles)}


def test_template_upgrade(copy: Path) -> None:
    """A changed template makes new pages, and leaves every results file and its signature as they were."""
    before = tree(copy / "public")
    templates = Path(shutil.copytree(packaged_templates(), copy / "templates"))
    footer = templates / "base.html"
    footer.write_text(footer.read_text().replace("</body>", "<p>baru</p></body>"))
    (copy / "terbit.toml").write_text('workers = 1\ntemplates = "templates"\n')
    publish(copy, NIGHT + minutes(10))
    after = tree(copy / "public")
    changed = {path for path in before if before[path] != after[path]}
    kinds = (".html", "releases.atom", "latest.json", "timestamp.json", "log/checkpoint")
    assert all(path.endswith(kinds) for path in changed)
    assert len([path for path in changed if path.startswith("uji/ppwp/")]) == 16 + 5  # areas, and the lists from A to Z


def test_content_change(copy: Path) -> None:
    """A changed text makes a new page of that text and a new front page, and no new area page."""
    before = tree(copy / "public")
    (copy / "content" / "pages" / "id" / "tentang.md").write_text("# Tentang\n\nLain.\n")
    publish(copy, NIGHT + minutes(10))
    after = tree(copy / "public")
    changed = {path for path in before if before[path] != after[path]}
    assert changed == {
        "uji/tentang.html",
        "uji/index.html",
        "uji/feeds/releases.atom",
        "uji/latest.json",
        "uji/log/checkpoint",
        "uji/metadata/timestamp.json",
    }


def test_late_package(copy: Path) -> None:
    """A results file's release is the last one in which a row beneath it changed, not the newest release."""
    deliver(copy, {"correction": package("1201", [row("120103", 3, 1, 2, revision=2)], reason="court")})
    publish(copy, NIGHT + minutes(10))
    releases = {
        area: json.loads((copy / "public" / "uji" / "ppwp" / f"{area}.json").read_text())["release"]
        for area in ("0", "11", "12", "n99", "1101/110101", "1101/110102", "1201/120103", "1201/120101")
    }
    assert releases == {
        "0": 3,
        "11": 2,
        "12": 3,
        "n99": 1,
        "1101/110101": 2,
        "1101/110102": 1,
        "1201/120103": 3,
        "1201/120101": 1,
    }


def test_nothing_new(copy: Path) -> None:
    """Publishing with nothing new renews the timestamp and the hint alone."""
    before = tree(copy / "public")
    _, told = publish(copy, NIGHT + minutes(15))
    after = tree(copy / "public")
    assert told["files"] == 0
    assert {path for path in after if before.get(path) != after[path]} == {
        "uji/latest.json",
        "uji/metadata/timestamp.json",
    }


def test_aged_snapshot(copy: Path) -> None:
    """When half of the snapshot's life has passed, a release with no new figures renews it."""
    before = current(copy)
    _, told = publish(copy, NIGHT + timedelta(hours=13))
    assert told["release"] == 3
    changed = {
        path for path, digest in current(copy).items() if before.get(path) != digest and "/metadata/" not in path
    }
    assert {path for path in changed if "/packs/" not in path} == {"uji/index.html", "uji/feeds/releases.atom"}


def test_whatever_fails_the_timestamp_is_renewed(copy: Path) -> None:
    """An area with figures that the definition no longer names stops the next release, says which, and lets the last one stay fresh."""
    areas = copy / "content" / "areas.csv"
    areas.write_text("".join(line for line in areas.read_text().splitlines(keepends=True) if "110102" not in line))
    before = tree(copy / "public")
    refused = CliRunner().invoke(keys, ["refresh", "-C", str(copy)])
    assert isinstance(refused.exception, DefinitionError)
    assert "areas that areas.csv no longer names (1: 110102)" in str(refused.exception)
    with pytest.raises(SigningError):
        publish(copy, NIGHT + minutes(30))
    after = tree(copy / "public")
    assert {path for path in after if before.get(path) != after[path]} == {
        "uji/latest.json",
        "uji/metadata/timestamp.json",
    }


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("110102,1101,", "110102,1102,", r"110102.*does not lie in the area that the cover names \[out-of-scope\]"),
        ("1101,11,kabupaten", "1101,12,kabupaten", r"1101.*does not lie in the area that the cover names"),
    ],
    ids=["a village", "a regency"],
)
def test_an_area_that_moved_from_its_packages(old: str, new: str, said: str, copy: Path) -> None:
    """Where a definition puts an area beneath another one than its packages speak for, nobody is asked to sign: an audit would accuse the publisher."""
    areas = copy / "content" / "areas.csv"
    areas.write_text(areas.read_text().replace(old, new))
    for words in (["refresh"], ["rotate", "timestamp", "--no-passphrase"]):
        refused = CliRunner().invoke(keys, [*words, "-C", str(copy)])
        assert isinstance(refused.exception, DefinitionError)
        assert re.search(said, str(refused.exception))
        assert not (copy / "keys" / "pending").exists() or not [*(copy / "keys" / "pending").iterdir()]


def test_unsigned_definition(copy: Path) -> None:
    """A definition that the offline keys have not signed is not published, and the last release stays fresh meanwhile."""
    definition = copy / "content" / "election.toml"
    definition.write_text(definition.read_text().replace('name = "Satu"', 'name = "Lain"'))
    before = tree(copy / "public")
    with pytest.raises(SigningError, match=r"content/election\.toml is not what the offline keys signed"):
        publish(copy, NIGHT + minutes(30))
    after = tree(copy / "public")
    assert {path for path in after if before.get(path) != after[path]} == {
        "uji/latest.json",
        "uji/metadata/timestamp.json",
    }
