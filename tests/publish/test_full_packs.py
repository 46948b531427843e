"""Full packs: every file in force in a few large ones, from time to time, for mirrors that begin or were away for long."""

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from builder.ledger import Ledger
from publish.progress import Stages
from publish.release import packs
from publish.release.flow import Flow
from publish.release.intake import take_in_packages
from publish.workspace import Workspace
from tests.election import NIGHT, correction, minutes
from tests.killer import DIED, killer
from tests.publish.test_audit import audit
from tests.publish.test_mirror import Origin, check_whole, origin
from tests.publish.test_purity import current, rebuilt
from tests.publish.test_second import CONFIG, Pair
from tests.publish.workspace import copy_tree, deliver, publish, tree
from verifier.archive import ArchiveFetcher
from verifier.errors import VerificationError
from verifier.files import SignedFile, is_pack, is_results, is_stray, object_path
from verifier.mirror import packs as mirror_packs

__all__ = ["origin"]  # a fixture

LATER = NIGHT + minutes(5)


def publish_full(workspace: Path, now: datetime = LATER) -> dict[str, object]:
    """`terbit publish --full-packs`."""
    opened, stages = Workspace(workspace), Stages(quiet=True)
    with opened.lock(), Flow(opened, stages, now) as flow:
        take_in_packages(opened, (), stages, now)
        flow.full_packs = True
        return flow.publish()


def listed(public: Path, release: int) -> dict[str, dict[str, SignedFile]]:
    """Every file of a release, by role."""
    snapshot = json.loads((public / "metadata" / f"{release}.snapshot.json").read_bytes())["signed"]["meta"]
    found = {}
    for name, meta in snapshot.items():
        targets = json.loads((public / "metadata" / f"{meta['version']}.{name}").read_bytes())["signed"]["targets"]
        found[name.removesuffix(".json")] = {
            path: SignedFile(path, one["hashes"]["sha256"], one["length"]) for path, one in targets.items()
        }
    return found


def packed(public: Path, release: int, kind: str = "") -> dict[str, set[str]]:
    """What is in the packs of a release, by their paths."""
    packs = [file for file in listed(public, release)["site"].values() if is_pack(file.path) and kind in file.path]
    return {file.path: set(ArchiveFetcher(public / object_path(file))._places) for file in packs}


@pytest.fixture
def workspace(first_release: Path, tmp_path: Path) -> Path:
    """One release is out, the next one's correction in the inbox."""
    made = copy_tree(first_release, tmp_path / "workspace")
    deliver(made, {"one": correction()})
    return made


def test_they_hold_everything(workspace: Path) -> None:
    """Full packs have every object and signature in force, every list but those that come after them, and every package without its scans."""
    publish_full(workspace)
    public = workspace / "public" / "uji"
    found = packed(public, 2)
    assert set(found) == {"packs/2-1.tar", "packs/2-ppwp-1.tar", "packs/2-site-1.tar"}
    roles = listed(public, 2)
    files = [file for role in roles.values() for file in role.values() if not is_pack(file.path)]
    wanted = {object_path(file) for file in files}
    wanted |= {
        f"{object_path(file)}.minisig"
        for name, role in roles.items()
        for file in role.values()
        if name not in {"site", "trust"} and is_results(file.path)
    }
    wanted |= {path for path in tree(public) if path.startswith("packages/") and not path.endswith((".jpg", ".png"))}
    meta = json.loads((public / "metadata" / "2.snapshot.json").read_bytes())["signed"]["meta"]
    late = {"site.json", "targets.json", "trust.json"}
    wanted |= {f"metadata/{one['version']}.{name}" for name, one in meta.items() if name not in late}
    full = found["packs/2-ppwp-1.tar"] | found["packs/2-site-1.tar"]
    assert full == wanted
    assert not found["packs/2-ppwp-1.tar"] & found["packs/2-site-1.tar"]
    assert found["packs/2-1.tar"] < full


def test_a_rebuild_makes_the_same(workspace: Path) -> None:
    """Full packs are a function of the ledger: made anew from nothing they have the same bytes."""
    publish_full(workspace)
    before = current(workspace)
    after = rebuilt(workspace)
    assert {path: after.get(path) for path in before} == before


def test_an_audit_agrees(workspace: Path) -> None:
    """What full packs hold is listed or logged, and the log tells that there are some."""
    publish_full(workspace)
    done = audit(workspace / "public", workspace / "keys" / "metadata" / "1.root.json")
    assert done.exit_code == 0, done.output
    assert Ledger(workspace / "ledger").cuts[-1].full


def test_they_are_cut_short_at_the_cap(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group's full packs are numbered without gaps, in the order of paths, none beyond the cap."""
    monkeypatch.setattr(packs, "PACK_LENGTH", 200_000)
    publish_full(workspace)
    public = workspace / "public" / "uji"
    names = sorted(packed(public, 2, "-ppwp-"), key=lambda name: int(name.split("-")[2].removesuffix(".tar")))
    assert names == [f"packs/2-ppwp-{number}.tar" for number in range(1, len(names) + 1)]
    assert len(names) > 1
    found = packed(public, 2)
    assert all(max(found[one]) < min(found[other]) for one, other in pairwise(names))


@pytest.mark.parametrize(
    ("hours", "after", "full"),
    [(24, 23, False), (24, 24, True), (1, 1, True), (0, 1000, False)],
    ids=["not yet", "due", "every hour", "never"],
)
def test_at_intervals(workspace: Path, hours: int, after: int, full: bool) -> None:
    """A release so many hours after the last full packs has some; none is made for their sake."""
    (workspace / "terbit.toml").write_text(f"workers = 1\nfull_packs_hours = {hours}\n")
    publish(workspace, NIGHT + timedelta(hours=after))
    assert [cut.full for cut in Ledger(workspace / "ledger").cuts] == [False, full]
    assert bool(packed(workspace / "public" / "uji", 2, "-site-")) == full
    publish(workspace, NIGHT + timedelta(hours=after, minutes=1))
    assert len(Ledger(workspace / "ledger").cuts) == 2


def test_asked_for_with_nothing_new(first_release: Path, tmp_path: Path) -> None:
    """Who asks for full packs gets a release of them, though no figure has changed, and its delta is small."""
    made = copy_tree(first_release, tmp_path / "made")
    assert publish_full(made)["release"] == 2
    found = packed(made / "public" / "uji", 2)
    assert {path.split(".")[0] for path in found} == {"packs/2-1", "packs/2-ppwp-1", "packs/2-site-1"}
    assert not any(path.startswith("targets/ppwp/") for path in found["packs/2-1.tar"])


def publish_full_later(folder: Path) -> None:
    """What the killed process does."""
    publish_full(folder)


@pytest.mark.parametrize(
    ("share", "again"), [(0.2, publish_full), (0.5, publish_full), (0.8, publish)], ids=["early", "midway", "committed"]
)
def test_killed(workspace: Path, tmp_path: Path, share: float, again: Callable[[Path, datetime], object]) -> None:
    """Killed at some change to the disk, the same command ends where an undisturbed one does, with one release more and not two; once that is public, any run does."""
    whole = copy_tree(workspace, tmp_path / "whole")
    with killer("tests.publish.test_full_packs:publish_full_later") as kill:
        status, total = kill(whole, -1)
        assert status == 0
        assert kill(workspace, int(total * share))[0] == DIED
    again(workspace, LATER)
    assert len(Ledger(workspace / "ledger").cuts) == 2
    assert current(workspace) == current(whole)


def test_a_second_signer_makes_the_same(tmp_path: Path) -> None:
    """He renders every file, takes the results' signatures from the exchange, and signs the same full packs; also where he or the publisher goes on from nothing."""
    pair = Pair(tmp_path, "full_packs_hours = 1\n" + CONFIG)
    config = (pair.second / "terbit.toml").read_text()
    (pair.second / "terbit.toml").write_text(f'public = "../a/public"\n{config}')
    deliver(pair.publisher)
    pair.release()
    for number, lost in enumerate(["", "second", "publisher"], 1):
        deliver(pair.publisher, {f"fix{number}": correction(station=number)})
        if lost:
            shutil.rmtree(getattr(pair, lost) / "build", ignore_errors=True)
        now = NIGHT + timedelta(hours=number)
        pair.release(now)
        assert pair.check(now) == number + 1
        assert packed(pair.publisher / "public" / "uji", number + 1, "-ppwp-")


def test_a_mirror_that_begins(origin: Origin) -> None:
    """A mirror that starts after full packs takes these and what changed since: not one file comes by itself, and older packs are left."""
    origin.correct()
    deliver(origin.workspace, {"two": correction(station=2)})
    publish_full(origin.workspace, NIGHT + minutes(10))
    deliver(origin.workspace, {"three": correction(station=3)})
    now = NIGHT + minutes(15)
    publish(origin.workspace, now)
    origin.sync(now)
    objects = [path for path in origin.asked if path.startswith(("targets/", "packages/"))]
    asked = sorted(path.partition(".")[2] for path in objects if "/packs/" in path)
    assert asked == ["3-ppwp-1.tar", "3-site-1.tar", "4-1.tar"]
    assert [path for path in objects if "/packs/" not in path and "/trust/" not in path] == []
    assert check_whole(origin.folder, now) == 4


def test_a_mirror_that_follows(origin: Origin) -> None:
    """A mirror that has the release before takes what changed, and leaves the full packs alone."""
    origin.sync()
    deliver(origin.workspace, {"one": correction()})
    publish_full(origin.workspace, LATER)
    origin.sync(LATER)
    assert [path.partition(".")[2] for path in origin.asked if "/packs/" in path] == ["2-1.tar"]
    assert check_whole(origin.folder, LATER) == 2


@pytest.mark.parametrize("name", ["3-ppwp-1.tar", "3-site-1.tar"])
def test_a_full_pack_that_is_gone(origin: Origin, name: str) -> None:
    """Without one of the full packs its files come by themselves, and the mirror is whole all the same."""
    origin.correct()
    publish_full(origin.workspace, NIGHT + minutes(10))
    (pack,) = origin.public.glob(f"targets/packs/*.{name}")
    pack.unlink()
    origin.sync(NIGHT + minutes(10))
    assert check_whole(origin.folder, NIGHT + minutes(10)) == 3


def files(*lengths: tuple[str, int]) -> list[SignedFile]:
    return [SignedFile(f"packs/{name}.tar", "0" * 64, length) for name, length in lengths]


@pytest.mark.parametrize(
    ("releases", "most", "chosen"),
    [
        ([files(("4-1", 10)), files(("3-1", 10))], 100, ["4-1", "3-1"]),
        ([files(("4-1", 10)), files(("3-1", 10), ("3-a-1", 30)), files(("2-1", 40))], 100, ["4-1", "3-a-1"]),
        ([files(("4-1", 10)), files(("3-1", 10), ("3-a-1", 30)), files(("2-1", 5))], 100, ["4-1", "3-1", "2-1"]),
        ([files(("4-1", 10), ("4-a-1", 30)), files(("3-1", 90))], 100, ["4-a-1"]),
        ([files(("4-1", 10)), files(("3-1", 10), ("3-a-1", 300)), files(("2-1", 40))], 100, ["4-1", "3-1", "2-1"]),
        ([files(("4-1", 10)), files(("3-1", 10), ("3-a-1", 300)), files(("2-1", 90))], 100, ["4-1", "3-1"]),
        ([files(("4-1", 200))], 100, []),
        ([files(("4-a-1", 5), ("4-b-1", 5), ("4-1", 40)), files(("3-a-1", 1), ("3-1", 1))], 100, ["4-a-1", "4-b-1"]),
        ([], 100, []),
    ],
    ids=[
        "no full ones", "chain is longer", "chain is shorter", "full at once", "full beyond the cap", "neither", "too long", "newest full ones",
        "nothing",
    ],
)  # fmt: skip
def test_which_are_chosen(releases: list[list[SignedFile]], most: int, chosen: list[str]) -> None:
    """The newest full packs with what changed since are taken where the chain of all changes is longer; nothing goes beyond the cap."""
    found = mirror_packs._choose(iter(releases), most, leads_on=True)
    assert [pack.path.removeprefix("packs/").removesuffix(".tar") for pack in found] == chosen


@pytest.mark.parametrize("leads_on", [True, False])
def test_a_chain_that_ends(leads_on: bool) -> None:
    """Where the chain does not reach back to what the mirror has, or a list in it cannot be had, the full packs are taken though they are longer."""
    newest = [files(("4-1", 10)), files(("3-1", 10), ("3-a-1", 90))]

    def broken() -> Iterator[list[SignedFile]]:
        yield from newest
        if leads_on:
            raise VerificationError("no list")

    found = mirror_packs._choose(broken(), 200, leads_on=leads_on)
    assert [pack.path for pack in found] == ["packs/4-1.tar", "packs/3-a-1.tar"]


@pytest.mark.parametrize(
    ("name", "beside", "stray"),
    [
        ("2-ppwp-1.tar", [], False),
        ("2-ppwp-2.tar", ["2-ppwp-1.tar"], False),
        ("2-ppwp-10.tar", ["2-ppwp-9.tar"], False),
        ("2-ppwp-2.tar", ["2-1.tar", "2-site-1.tar"], True),
        ("3-ppwp-1.tar", [], True),
        ("2-PPWP-1.tar", [], True),
        ("2--1.tar", [], True),
        ("2-ppwp-0.tar", [], True),
        ("2-ppwp-1-1.tar", [], True),
        (f"2-{'a' * 33}-1.tar", [], True),
        ("2-ppwp/1.tar", [], True),
    ],
)
def test_names(name: str, beside: list[str], stray: bool) -> None:
    """Full packs have the release, a group and a number without gaps in their names; whatever else is below packs/ is refused."""
    assert is_stray(f"packs/{name}", 2, {f"packs/{one}" for one in beside}) == stray
