"""A village with more stations than one page holds, from the inbox to the audit: what changed is made anew, and all of it follows from the ledger."""

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

import builder
from builder import limits
from publish.cli.keys import create_keys
from publish.progress import Stages
from publish.redaction import redact
from publish.release.flow import Flow
from publish.workspace import Workspace
from tests.election import ELECTION, NIGHT, correction, first_packages, minutes, package, row, write_definition
from tests.publish.test_audit import Published
from tests.publish.test_purity import current, rebuilt
from tests.publish.test_second import Pair
from tests.publish.workspace import copy_tree, deliver, publish, tree
from tests.scans import with_scans
from verifier.cli.main import main

VILLAGE = "ppwp/1101/110101"
NUMBERS = [*range(4, 126), *range(901, 904), "KSK-1", "POS.2"]  # besides 1, 2 and 3
ORDER = b"Penetapan Pengadilan Negeri Uji 1/2026: pindaian C1 tidak lagi ditampilkan.\n"


def many(*numbers: object) -> dict[str, bytes]:
    return package("1101", [row("110101", number, 100, 90) for number in numbers])


def changes(site: Published, now: int, **packages: dict[str, bytes]) -> set[str]:
    """Which pages of the village another release changed, added or took away; all in both languages."""
    before = tree(site.public)
    site.release(NIGHT + minutes(now), **packages)
    after = tree(site.public)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    own = {path for path in changed if re.fullmatch(rf"(en/)?{VILLAGE}(-\d+)?\.html", path)}
    found = {path for path in own if not path.startswith("en/")}
    assert {path.removeprefix("en/") for path in own - found} == found
    return {path.removeprefix(VILLAGE).removesuffix(".html") for path in found}


@pytest.fixture(scope="module")
def one_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """130 stations in one village."""
    folder = tmp_path_factory.mktemp("large") / "site"
    write_definition(folder / "content", ELECTION.replace("levels = [", 'languages = ["id", "en"]\nlevels = [', 1))
    (folder / "terbit.toml").write_text("workers = 1\n")
    create_keys(Workspace(folder), NIGHT)
    deliver(folder, first_packages() | {"many": many(*NUMBERS)})
    publish(folder)
    return folder


@pytest.fixture
def site(one_release: Path, tmp_path: Path) -> Published:
    return Published(copy_tree(one_release, tmp_path / "site"))


def test_only_what_changed(site: Published) -> None:
    """A correction, a scan, an order against it: each changes the page of its station and at most the first one; a station more moves others on, and changes all."""
    assert changes(site, 1, fix=correction(station="POS.2")) == {"", "-3"}
    assert changes(site, 2, fix=correction(station=60)) == {""}
    assert changes(site, 3, fix=with_scans(correction(station=2), "110101_100.jpg")) == {"", "-2"}
    (name,) = {one["package"] for one in json.loads((site.public / f"{VILLAGE}.json").read_bytes())["scans"]}
    redact(Workspace(site.folder).ledger, name, "110101_100.jpg", ORDER)
    assert changes(site, 4) == {"-2"}
    assert changes(site, 5, elsewhere=correction("110102", 1)) == set()
    assert changes(site, 6, late=many("0")) == {"", "-2", "-3"}
    page = (site.public / f"{VILLAGE}-3.html").read_text()
    assert 'id="tps-120"' in page  # moved on from the second page
    before = current(site.folder)
    done = site.audit("--all-releases", "--json")
    assert (done.exit_code, {one["verdict"] for one in json.loads(done.stdout)["releases"][:-1]}) == (0, {"same"})
    shutil.rmtree(site.folder / "public" / "reader")
    rebuilt(site.folder)
    scan = {
        path for path in before if path.endswith(("_100.jpg", "_100.jpg.thumb.png"))
    }  # as the order demands, not laid out again
    assert current(site.folder) == {path: sha256 for path, sha256 in before.items() if path not in scan}


def test_a_village_grows(site: Published) -> None:
    """The sixty-first station begins a second page, and with a package more there is a third."""
    other = "ppwp/1101/110102"

    def add(now: int, *numbers: int) -> list[str]:
        site.release(NIGHT + minutes(now), more=package("1101", [row("110102", number, 100, 90) for number in numbers]))
        return sorted(path.name for path in (site.public / other).parent.glob("110102*.html"))

    assert add(1, *range(4, 61)) == ["110102.html"]
    assert add(2, 61) == ["110102-2.html", "110102.html"]
    assert add(3, *range(62, 122)) == ["110102-2.html", "110102-3.html", "110102.html"]
    assert site.audit().exit_code == 0


def test_a_page_that_is_no_more(site: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version of the program may put more stations on a page: at the others' paths stand pages that say that they are gone, no list has them, and results stay signed."""
    before = tree(site.public / "ppwp")
    monkeypatch.setattr(limits, "STATIONS_ON_PAGE", 100)
    monkeypatch.setattr(builder, "__version__", "99")
    site.release(NIGHT + minutes(1))
    gone = (site.public / "gone-2.html").read_bytes()
    assert (site.public / f"{VILLAGE}-3.html").read_bytes() == gone
    assert (site.public / "en" / f"{VILLAGE}-3.html").read_bytes() == (site.public / "gone-3.html").read_bytes()
    assert (site.public / f"{VILLAGE}-2.html").read_bytes() != gone
    listed = json.loads((site.public / "metadata" / "2.ppwp-1101.json").read_bytes())["signed"]["targets"]
    assert {path for path in listed if re.search(r"-\d\.html$", path)} == {f"{VILLAGE}-2.html", f"en/{VILLAGE}-2.html"}
    after = tree(site.public / "ppwp")
    assert {path for path in before if path.endswith((".json", ".minisig")) and before[path] != after[path]} == set()
    shown = current(site.folder)
    rebuilt(site.folder)
    del shown[f"uji/{VILLAGE}-3.html"], shown[f"uji/en/{VILLAGE}-3.html"]
    assert current(site.folder) == shown


def test_previews(site: Published) -> None:
    """A preview has the same bytes as the public site, and nothing where that has no page."""
    workspace = Workspace(site.folder)
    with workspace.lock(), Flow(workspace, Stages(quiet=True), NIGHT) as flow:
        for path in (f"{VILLAGE}.html", f"{VILLAGE}-2.html", f"en/{VILLAGE}-3.html"):
            assert flow.site.render(path) == (site.public / path).read_bytes()
        for path in (
            f"{VILLAGE}-1.html",
            f"{VILLAGE}-02.html",
            f"{VILLAGE}-4.html",
            f"{VILLAGE}-2.json",
            "ppwp/1101/110102-2.html",
        ):
            assert flow.site.render(path) is None


def test_feeds_lead_to_the_station(site: Published) -> None:
    """A correction's entry in the feed leads to the page that has the station; that of a recapitulation, to the first."""
    recap = package("11", ["1101,,2,,600,552,,,1152,"], series="recap", tier="provinsi", reason="transcription")
    site.release(NIGHT + minutes(1), one=correction(station="POS.2"), two=correction(station=3), three=recap)
    links = re.findall(r'href="../(ppwp/[^"]*)"', (site.public / "feeds" / "corrections.atom").read_text())
    assert sorted(links) == ["ppwp/1101/1101.html", f"{VILLAGE}-3.html", f"{VILLAGE}.html"]


def test_a_comparison_leads_to_the_station(site: Published, tmp_path: Path) -> None:
    """`terbit-verify compare` names the page that shows the station, in every form of its report; of one that the site has not, the first."""
    tallies = tmp_path / "mine.csv"
    rows = [("2", 1), ("60", 1), ("61", 1), ("POS.2", 1), ("777", 1)]
    tallies.write_text("\n".join(["area,station,votes_1", *(f"110101,{one},{votes}" for one, votes in rows), ""]))
    options = ["--root", str(site.root), "--state", str(tmp_path / "state"), "--now", f"{NIGHT:%Y-%m-%dT%H:%M:%SZ}"]
    outputs = ["--csv", str(tmp_path / "d.csv"), "--html", str(tmp_path / "d.html")]
    done = CliRunner().invoke(main, ["compare", str(tallies), str(site.public.parent), *options, *outputs, "--json"])
    found = {one["station"]: one["page"].rpartition("/")[2] for one in json.loads(done.stdout)["differences"]}
    first, second, third = (f"110101{number}.html" for number in ("", "-2", "-3"))
    assert found == {"2": first, "60": first, "61": second, "POS.2": third, "777": first}
    for name in ("d.csv", "d.html"):
        assert {first, second, third} <= set(re.findall(r"110101[-0-9]*\.html", (tmp_path / name).read_text()))


def test_a_second_signer_makes_the_same(tmp_path: Path) -> None:
    """Two machines make a large village's pages alike, and so they are signed."""
    pair = Pair(tmp_path)
    deliver(pair.publisher, first_packages() | {"many": many(*NUMBERS)})
    pair.release()
    deliver(pair.publisher, {"fix": correction(station=100)})
    pair.release(NIGHT + minutes(5))
    assert pair.check(NIGHT + minutes(5)) == 2
    assert (pair.publisher / "public" / "uji" / f"{VILLAGE}-3.html").is_file()
