"""Packs and bundles: what hostile ones can do to a mirror (nothing), and what good ones spare it."""

import json
import os
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from click.testing import CliRunner, Result

from tests.servers import serving
from tests.verifier.site_simulator import ELECTION, NOW, A, B, SiteServer, SiteSimulator, sha256
from tests.verifier.test_mirror import check_whole, make, run, tree
from verifier import limits
from verifier.archive import ArchiveFetcher
from verifier.cli.main import main
from verifier.files import SignedFile
from verifier.formats import ustar
from verifier.mirror import unpack
from verifier.mirror.folder import Folder
from verifier.mirror.upstreams import Upstreams

OK, ERROR, USAGE, FAILED, STALE = 0, 1, 2, 4, 5
TIME = f"{NOW:%Y-%m-%dT%H:%M:%SZ}"
PACK = "packs/2-1.tar"
FULL = "packs/2-ppwp-1.tar"


def archive(files: dict[str, bytes]) -> bytes:
    return b"".join(ustar.encode(sorted(files.items())))


def release(site: SiteSimulator, spoil: Callable[[dict[str, bytes]], bytes] = archive) -> dict[str, bytes]:
    """Release 2 with its pack, which `spoil` makes from the files that belong there; returns those."""
    before = set(site.tree)
    site.files["ppwp-11"][A] = site.results(A, votes=[3, 4])
    site.next_release()
    changed = {
        path: data
        for path, data in site.tree.items()
        if path not in before and path.startswith(("targets/", "metadata/2.ppwp"))
    }
    site.files["site"][PACK] = spoil(changed)
    site.publish()
    del site.tree[PACK]  # a pack has no alias
    return changed


@pytest.fixture
def mirror(site: SiteSimulator, upstream: SiteServer, tmp_path: Path) -> Folder:
    """A mirror that has the first release."""
    found = make(tmp_path / "mirror", site, upstream.url)
    run(found)
    upstream.asked.clear()
    return found


def asked_alone(upstream: SiteServer, changed: dict[str, bytes]) -> set[str]:
    return set(upstream.asked) & set(changed)


def test_a_pack_spares_every_other_request(site: SiteSimulator, upstream: SiteServer, mirror: Folder) -> None:
    """All that a good pack has is asked for in no other way, and the mirror serves the pack itself to its own mirrors."""
    changed = release(site)
    run(mirror)
    assert not asked_alone(upstream, changed)
    assert (mirror.public / site.object_of(PACK)).read_bytes() == site.files["site"][PACK]
    assert not (mirror.public / PACK).exists()
    assert check_whole(mirror) == 2


def altered_inside(files: dict[str, bytes]) -> bytes:
    """Signed, and yet with other bytes under a right name: who made it held the keys of `site` alone."""
    return archive({path: data[:-1] + b"!" if ".1101.json" in path else data for path, data in files.items()})


def swapped_inside(files: dict[str, bytes]) -> bytes:
    names = sorted(files)
    return archive(dict(zip(names, [files[name] for name in reversed(names)], strict=True)))


def with_strangers(files: dict[str, bytes]) -> bytes:
    return archive(
        files | {"index.html": b"<p>false", "metadata/9.root.json": b"{}", "latest.json": b"{}", "targets/x": b"x"}
    )


def one_missing(files: dict[str, bytes]) -> bytes:
    return archive(dict(list(files.items())[1:]))


SPOILT: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "altered file": altered_inside,
    "files swapped": swapped_inside,
    "strange files": with_strangers,
    "a file missing": one_missing,
    "no file": lambda files: archive({}),
    "no archive": lambda files: b"junk",
    "cut": lambda files: archive(files)[:-700],
    "wrong order": lambda files: b"".join(ustar.encode(sorted(files.items(), reverse=True))),
    "path tricks": lambda files: b"".join(ustar.encode([("../../state/x", b"x"), ("/etc/x", b"x")])),
    "a size beyond all bounds": lambda files: ustar.header("targets/a", ustar.SIZE) + ustar.END,
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_signed_but_hostile_packs(
    site: SiteSimulator, mirror: Folder, spoil: Callable[[dict[str, bytes]], bytes]
) -> None:
    """Whoever holds the key of `site` and signs a bad pack cannot keep the release away, nor put anything else into the mirror."""
    names = {path.name for path in mirror.root.iterdir()}
    release(site, spoil)
    run(mirror)
    assert check_whole(mirror) == 2
    assert set(tree(mirror.public)) - {"latest.json"} <= set(site.tree) | {"latest.json"}
    assert {path.name for path in mirror.root.iterdir()} == names


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_signed_but_hostile_full_packs(
    site: SiteSimulator, upstream: SiteServer, tmp_path: Path, spoil: Callable[[dict[str, bytes]], bytes]
) -> None:
    """Nor can he do more with full packs, on which a mirror relies that begins."""
    site.next_release()
    every = {path: data for path, data in site.tree.items() if path.startswith(("targets/ppwp", "metadata/2.ppwp"))}
    site.files["site"][FULL] = spoil(every)
    site.publish()
    del site.tree[FULL]
    found = make(tmp_path / "late", site, upstream.url)
    names = {path.name for path in found.root.iterdir()} | {"lock", "complete.json"}
    run(found)
    assert site.object_of(FULL) in upstream.asked
    assert check_whole(found) == 2
    assert set(tree(found.public)) - {"latest.json"} <= set(site.tree)
    assert {path.name for path in found.root.iterdir()} <= names


def test_full_packs_spare_every_other_request(site: SiteSimulator, upstream: SiteServer, tmp_path: Path) -> None:
    """What full packs have a mirror that begins asks for in no other way."""
    site.next_release()
    every = {path: data for path, data in site.tree.items() if path.startswith("targets/ppwp")}
    site.files["site"][FULL] = archive(every)
    site.publish()
    run(make(tmp_path / "late", site, upstream.url))
    assert not asked_alone(upstream, every)


@pytest.mark.parametrize("spoil", ["nothing", "altered file", "files swapped", "strange files", "a file missing"])
def test_packs_in_several_processes(
    site: SiteSimulator, upstream: SiteServer, mirror: Folder, spoil: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where other processes unpack a large pack they check the same, and leave to the one that asks upstreams just the files that they could not have."""
    monkeypatch.setattr(unpack, "MANY_BYTES", 0)
    monkeypatch.setattr(unpack.os, "sched_getaffinity", lambda pid: {0, 1})
    changed = release(site, SPOILT.get(spoil, archive))
    run(mirror)
    wrong = {
        "altered file": {path for path in changed if ".1101.json" in path},
        "files swapped": set(changed),
        "a file missing": {next(iter(changed))},
    }.get(spoil, set())
    assert asked_alone(upstream, changed) == wrong
    assert check_whole(mirror) == 2
    assert set(tree(mirror.public)) - {"latest.json"} <= set(site.tree)


def test_a_first_copy_in_several_processes(
    site: SiteSimulator, upstream: SiteServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mirror that starts later has the packs unpacked in the same way."""
    monkeypatch.setattr(unpack, "MANY_BYTES", 0)
    monkeypatch.setattr(unpack.os, "sched_getaffinity", lambda pid: {0, 1})
    changed = release(site)
    late = make(tmp_path / "late", site, upstream.url)
    upstream.asked.clear()
    run(late)
    assert not {path for path in asked_alone(upstream, changed) if path.startswith("targets/ppwp")}
    assert check_whole(late) == 2


def test_a_process_that_is_taken_away(
    site: SiteSimulator, upstream: SiteServer, mirror: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a killed process was to unpack is brought in without it."""
    monkeypatch.setattr(unpack, "MANY_BYTES", 0)
    monkeypatch.setattr(unpack.os, "sched_getaffinity", lambda pid: {0, 1})
    monkeypatch.setattr(unpack, "_start", os._exit)
    changed = release(site)
    run(mirror)
    assert not asked_alone(upstream, changed)
    assert check_whole(mirror) == 2


def cut_pack(site: SiteSimulator, server: SiteServer) -> None:
    site.tree[site.object_of(PACK)] = site.tree[site.object_of(PACK)][:1000]


def flipped_pack(site: SiteSimulator, server: SiteServer) -> None:
    data = bytearray(site.tree[site.object_of(PACK)])
    data[600] ^= 1
    site.tree[site.object_of(PACK)] = bytes(data)


def longer_pack(site: SiteSimulator, server: SiteServer) -> None:
    site.tree[site.object_of(PACK)] += b"\0"


def unending_breaks(site: SiteSimulator, server: SiteServer) -> None:
    server.breaks[site.object_of(PACK)] = [100] * 50


def altered_after_a_break(site: SiteSimulator, server: SiteServer) -> None:
    server.breaks[site.object_of(PACK)] = [600]
    flipped_pack(site, server)


def moved_range(site: SiteSimulator, server: SiteServer) -> None:
    server.breaks[site.object_of(PACK)] = [600]
    server.ranges = "moved"


def missing_pack(site: SiteSimulator, server: SiteServer) -> None:
    del site.tree[site.object_of(PACK)]


def endless_pack(site: SiteSimulator, server: SiteServer) -> None:
    server.endless.add(site.object_of(PACK))


def stalled_pack(site: SiteSimulator, server: SiteServer) -> None:
    server.stalled.add(site.object_of(PACK))


def dripped_pack(site: SiteSimulator, server: SiteServer) -> None:
    server.dripped.add(site.object_of(PACK))


@pytest.mark.parametrize(
    "attack",
    [
        cut_pack, flipped_pack, longer_pack, unending_breaks, altered_after_a_break, moved_range, missing_pack, endless_pack, stalled_pack,
        dripped_pack,
    ],
)  # fmt: skip
def test_packs_that_do_not_come(
    site: SiteSimulator,
    upstream: SiteServer,
    mirror: Folder,
    attack: Callable[[SiteSimulator, SiteServer], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A pack that the upstream lacks, alters, lengthens, drips, or breaks off again and again is done without: its files come one by one."""
    monkeypatch.setattr(limits, "FETCH_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(limits, "FETCH_TOTAL_SECONDS", 1)
    changed = release(site)
    attack(site, upstream)
    run(mirror)
    assert asked_alone(upstream, changed) == set(changed)
    assert not (mirror.public / site.object_of(PACK)).exists()
    assert not [*(mirror.root / "incoming").iterdir()]
    assert check_whole(mirror) == 2


@pytest.mark.parametrize("ranges", ["honoured", "ignored"])
def test_a_broken_pack_is_taken_up(
    site: SiteSimulator, upstream: SiteServer, mirror: Folder, ranges: Literal["honoured", "ignored"]
) -> None:
    """A pack whose connection breaks comes all the same, its rest where the upstream knows ranges and else anew, and nothing is asked for one by one."""
    upstream.ranges = ranges
    changed = release(site)
    pack = site.object_of(PACK)
    upstream.breaks[pack] = [700, 1_000]
    run(mirror)
    assert upstream.asked.count(pack) == 3
    assert not asked_alone(upstream, changed)
    assert check_whole(mirror) == 2


def test_no_place_goes_on_from_what_another_sent(site: SiteSimulator, upstream: SiteServer, tmp_path: Path) -> None:
    """Where one upstream sends wrong bytes and breaks off, the next one's pack is taken from its beginning, and is right."""
    release(site)
    pack = site.object_of(PACK)
    with serving(SiteServer(site.tree | {pack: bytes(len(site.tree[pack]))})) as liar:
        liar.breaks[pack] = [700] * 9
        found = make(tmp_path / "mirror", site, liar.url, upstream.url)
        run(found)
    assert (upstream.asked.count(pack), check_whole(found)) == (1, 2)
    assert (found.public / pack).exists()


def test_a_pack_is_not_held(site: SiteSimulator, upstream: SiteServer, tmp_path: Path) -> None:
    """What a mirror holds of a pack on its way, or when it looks whether it has it, does not grow with the pack."""
    data = bytes(range(256)) * 125_000
    upstream.tree["targets/packs/pack"] = data
    found = make(tmp_path / "mirror", site, upstream.url)
    file = SignedFile("packs/1-1.tar", sha256(data), len(data))
    tracemalloc.start()
    with found.receiving("targets/packs/pack") as receiver:
        Upstreams([upstream.url]).receive("targets/packs/pack", file.length, file.sha256, receiver)
    assert found.has("targets/packs/pack", file)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < len(data) / 8


def test_a_pack_too_long_for_what_is_needed(site: SiteSimulator, upstream: SiteServer, mirror: Folder) -> None:
    """A pack much longer than all that the mirror serves is left alone: the files are fewer bytes."""
    changed = release(site, lambda files: archive(files | {"targets/z": bytes(5_000_000)}))
    run(mirror)
    assert asked_alone(upstream, changed) == set(changed)


def test_an_old_list_counts_for_nothing(site: SiteSimulator, upstream: SiteServer, mirror: Folder) -> None:
    """What an earlier release's list says is used for its packs alone, and only if today's keys have signed it."""
    release(site)
    pack = site.object_of(PACK)
    del site.files["site"][PACK]
    site.next_release()
    site.tree["metadata/2.site.json"] = site.tree["metadata/2.site.json"].replace(b"assets/", b"essets/")
    run(mirror)
    assert pack not in upstream.asked
    assert not (mirror.public / "metadata/2.site.json").exists()
    assert check_whole(mirror) == 3


def command(*words: object) -> Result:
    return CliRunner().invoke(main, [*map(str, words)])


@pytest.fixture
def bundle(mirror: Folder, tmp_path: Path) -> Path:
    made = command("bundle", mirror.root, "-o", tmp_path / "x.tar", "--now", TIME)
    assert made.exit_code == OK, made.output
    return tmp_path / "x.tar"


def imported(site: SiteSimulator, bundle: Path, folder: Path, now: str = TIME) -> Result:
    root = sha256(site.tree["metadata/1.root.json"])
    return command("import", bundle, "--into", folder, "--root-sha256", root, "--now", now)


def test_a_bundle_carries_everything(site: SiteSimulator, mirror: Folder, bundle: Path, tmp_path: Path) -> None:
    """On a machine that has nothing but the fingerprint, an imported bundle is the same mirror, aliases and all; a second bundle of it is the same file."""
    done = imported(site, bundle, tmp_path / "other")
    assert done.exit_code == OK, done.output
    other = Folder(tmp_path / "other")
    assert check_whole(other) == 1
    assert tree(other.public) == tree(mirror.public)
    assert command("bundle", other.root, "-o", tmp_path / "y.tar", "--now", TIME).exit_code == OK
    assert (tmp_path / "y.tar").read_bytes() == bundle.read_bytes()
    again = imported(site, bundle, tmp_path / "other")
    assert (again.exit_code, "; 0 came from" in again.output) == (OK, True)


def test_a_bundle_has_no_packs(site: SiteSimulator, mirror: Folder, bundle: Path, tmp_path: Path) -> None:
    """What packs repeat is not carried twice."""
    release(site)
    run(mirror)
    assert command("bundle", mirror.root, "-o", bundle, "--now", TIME).exit_code == OK
    assert b".2-1.tar\0" not in bundle.read_bytes()
    assert imported(site, bundle, tmp_path / "other").exit_code == OK
    assert check_whole(Folder(tmp_path / "other")) == 2


@pytest.mark.parametrize("version", [-(10**15), 10**18, 10**400])
def test_a_bundle_with_a_time_that_is_none(site: SiteSimulator, bundle: Path, tmp_path: Path, version: int) -> None:
    """An expired bundle whose timestamp says an impossible time is refused in plain words."""
    fetcher = ArchiveFetcher(bundle, in_folder=True)
    files = {path: bundle.read_bytes()[offset : offset + length] for path, (offset, length) in fetcher._places.items()}
    path = f"{ELECTION}/metadata/timestamp.json"
    told = json.loads(site.tree["metadata/timestamp.json"])
    told["signed"]["version"] = version
    files[path] = json.dumps(told).encode()
    (tmp_path / "wrong.tar").write_bytes(archive(files))
    for now in (TIME, "2060-01-01T00:00:00Z"):
        done = imported(site, tmp_path / "wrong.tar", tmp_path / "other", now)
        assert done.exit_code in {FAILED, STALE}, done.output
        assert isinstance(done.exception, SystemExit)


def test_a_bundle_is_older_than_its_way(site: SiteSimulator, bundle: Path, tmp_path: Path) -> None:
    """A bundle whose time ran out on its way is imported and told to be so: all of it was signed, and nobody here knows what came since."""
    late = imported(site, bundle, tmp_path / "other", "2026-11-22T05:00:00Z")
    assert late.exit_code == STALE
    assert "there may be something newer" in late.stderr
    assert check_whole(Folder(tmp_path / "other")) == 1


def test_an_older_bundle_is_refused(site: SiteSimulator, mirror: Folder, bundle: Path) -> None:
    """A mirror that has seen a newer release does not go back, whatever the stick says."""
    release(site)
    run(mirror)
    told = imported(site, bundle, mirror.root)
    assert (told.exit_code, "rolled back" in told.stderr) == (FAILED, True)
    assert check_whole(mirror) == 2


def test_a_site_that_does_not_verify_is_not_bundled(mirror: Folder, bundle: Path) -> None:
    """One wrong byte, and there is no new bundle; the one that stood there stays."""
    before = bundle.read_bytes()
    next(mirror.public.glob(f"targets/{Path(B).parent}/*.json")).write_bytes(b"{}")
    told = command("bundle", mirror.root, "-o", bundle, "--now", TIME)
    assert (told.exit_code, "no bundle was made" in told.stderr) == (FAILED, True)
    assert bundle.read_bytes() == before
    assert sorted(path.name for path in bundle.parent.iterdir()) == ["mirror", "x.tar"]


def test_tampered_bundles(site: SiteSimulator, bundle: Path, tmp_path: Path) -> None:
    """A flipped bit, wherever it is, leaves nothing that is served, or was not needed; and a good bundle mends what bad ones left."""
    good, folder, unneeded = bundle.read_bytes(), tmp_path / "other", 0
    whole = tree(Folder(tmp_path / "mirror").public)
    for at in range(0, len(good), max(1, len(good) // 97)):
        data = bytearray(good)
        data[at] ^= 1
        bundle.write_bytes(data)
        told = imported(site, bundle, folder)
        if told.exit_code == OK:  # the first root, which was pinned before
            assert tree(Folder(folder).public) == whole
            shutil.rmtree(folder)
            unneeded += 1
            continue
        assert told.exit_code in {ERROR, FAILED}, at
        assert not (folder / "public" / ELECTION / "metadata" / "timestamp.json").exists(), at
        assert not (folder / "public" / ELECTION / "index.html").exists(), at
    assert unneeded < 20
    bundle.write_bytes(good)
    assert imported(site, bundle, folder).exit_code == OK
    assert check_whole(Folder(folder)) == 1


def test_a_tampered_file_of_a_bundle_is_named(site: SiteSimulator, bundle: Path, tmp_path: Path) -> None:
    """The message about a flipped bit says in which of the bundle's files it is."""
    path = site.object_of(B)
    offset, _ = ArchiveFetcher(bundle, in_folder=True)._places[f"{ELECTION}/{path}"]
    data = bytearray(bundle.read_bytes())
    data[offset + 5] ^= 1
    bundle.write_bytes(data)
    told = imported(site, bundle, tmp_path / "other")
    assert told.exit_code == FAILED
    assert f"{path}: its SHA-256 is" in told.stderr


def test_import_needs_a_root(bundle: Path, tmp_path: Path) -> None:
    """Nobody trusts a stick for its own sake: without a root from elsewhere, or with another one, nothing is made."""
    assert command("import", bundle, "--into", tmp_path / "other").exit_code == USAGE
    wrong = command("import", bundle, "--into", tmp_path / "other", "--root-sha256", "0" * 64)
    assert wrong.exit_code == FAILED
    assert not (tmp_path / "other" / "mirror.toml").exists()


def test_another_elections_bundle(site: SiteSimulator, mirror: Folder, bundle: Path, tmp_path: Path) -> None:
    """A mirror takes no bundle of another election's name."""
    data = bundle.read_bytes()
    files = ustar.entries(lambda offset, length: data[offset : offset + length], len(data))
    other = {path.replace(ELECTION, "lain", 1): data[at : at + length] for path, at, length in files}
    (tmp_path / "lain.tar").write_bytes(archive(other))
    told = command("import", tmp_path / "lain.tar", "--into", mirror.root, "--now", TIME)
    assert (told.exit_code, "is of lain" in told.stderr) == (FAILED, True)


def test_read_caps(site: SiteSimulator, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle with more files than any site has is refused before its names fill the memory."""
    monkeypatch.setattr(limits, "ARCHIVE_FILES_COUNT", 5)
    told = imported(site, bundle, tmp_path / "other")
    assert (told.exit_code, "more than 5 files" in told.stderr) == (FAILED, True)
