"""The audit: what was published is made again from the logged inputs, and whatever does not follow from them is named."""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

import builder
from builder.ledger import RefusedRecord
from builder.officials import Admission
from builder.recap import COVER
from builder.site import Site, entry_of
from publish.redaction import redact
from publish.release import make
from publish.release.draft import Draft
from publish.signing.keyring import Keyring
from publish.translog import log
from publish.workspace import Workspace
from tests.builder.maps import coasts
from tests.election import NIGHT, correction, minutes, package, row
from tests.officials import Official
from tests.publish.test_mirror import mirroring
from tests.publish.test_officials import enrol, sign_as
from tests.publish.workspace import changed_area_files, copy_tree, deliver, make_workspace, publish
from verifier.audit.history import read_history
from verifier.cli.main import main
from verifier.files import SignedFile, object_path
from verifier.formats import leaves, note, ustar
from verifier.formats.checkpoint import Checkpoint, SignedCheckpoint
from verifier.formats.leaves import Leaf
from verifier.mirror.init import init
from verifier.mirror.sync import sync
from verifier.mirror.upstreams import Upstreams

LATER = NIGHT + minutes(5)


def audit(folder: Path, root: Path, *arguments: str, place: str = "") -> Result:
    """`terbit-verify audit` of `place` (default: the folder), by somebody who has never been there."""
    options = ["--root", str(root), "--state", str(folder / "reader"), "--now", f"{LATER:%Y-%m-%dT%H:%M:%SZ}"]
    shutil.rmtree(folder / "reader", ignore_errors=True)
    return CliRunner().invoke(main, ["audit", place or str(folder), *options, *arguments])


class Published:
    """A workspace with what it has published."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.public = folder / "public" / "uji"
        self.root = folder / "keys" / "metadata" / "1.root.json"

    def release(self, now: datetime = NIGHT, **packages: dict[str, bytes]) -> None:
        deliver(self.folder, packages)
        publish(self.folder, now)

    def audit(self, *arguments: str) -> Result:
        return audit(self.public.parent, self.root, *arguments)

    def report(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.audit("--json").stdout)
        return found


@pytest.fixture(scope="module")
def two_releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two releases: every count, then a correction and a hand-in that is refused."""
    found = Published(make_workspace(tmp_path_factory.mktemp("two") / "site"))
    found.release()
    found.release(NIGHT + minutes(1), fix=correction(), wrong=correction(revision=9))
    return found.folder


@pytest.fixture
def site(two_releases: Path, tmp_path: Path) -> Published:
    return Published(copy_tree(two_releases, tmp_path / "site"))


def test_an_honest_site_passes(site: Published, tmp_path: Path) -> None:
    """Everything that was published follows from the logged inputs, and the report says from which."""
    page = tmp_path / "audit.html"
    done = site.audit("--html", str(page))
    assert done.exit_code == 0, done.output
    assert "Changes without input: none" in done.stdout
    told = site.report()
    assert told["verified"] is True
    assert (told["release"], told["packages"], told["operator"]) == (2, 6, 6)
    assert [rules for _, rules in told["refused"]] == [["wrong-revision"]]  # type: ignore[attr-defined]
    assert [one["changed"] for one in told["releases"]][1] == ["packages"]  # type: ignore[attr-defined]
    assert told["files"] >= 48  # type: ignore[operator]
    html = page.read_text()
    assert "Semua yang diterbitkan mengikuti masukan" in html
    assert "<script" not in html


def test_a_copy_passes_offline(site: Published, tmp_path: Path) -> None:
    """A mirror's folder is as good as the origin: the audit asks nobody else."""
    copy = tmp_path / "mirror"
    shutil.copytree(site.public, copy / "uji")
    root = shutil.copy(site.root, tmp_path / "root.json")
    shutil.rmtree(site.folder)
    assert audit(copy, Path(root)).exit_code == 0


def test_a_map_is_read_again(tmp_path: Path) -> None:
    """Areas' shapes are part of the signed definition: they are published, the audit makes the pages again with them, and without them it cannot."""
    content, shapes = tmp_path / "site" / "content", coasts(["11", "12"])
    content.mkdir(parents=True)
    (content / "map.topojson").write_bytes(shapes)
    site = Published(make_workspace(tmp_path / "site"))
    site.release()
    published = site.public / "targets" / "trust" / f"{hashlib.sha256(shapes).hexdigest()}.map.topojson"
    assert published.read_bytes() == shapes
    assert b'<path d="M' in (site.public / "ppwp" / "0.html").read_bytes()
    assert site.audit().exit_code == 0
    published.unlink()
    (site.public / "trust" / "map.topojson").unlink()
    assert site.audit().exit_code != 0


def bundled(site: Published, out: Path) -> Path:
    options = ["--root", str(site.root), "--state", str(out.parent / "carrier"), "--now", f"{LATER:%Y-%m-%dT%H:%M:%SZ}"]
    done = CliRunner().invoke(main, ["bundle", str(site.public), "-o", str(out), *options])
    assert done.exit_code == 0, done.output
    return out


def test_a_bundle_passes(site: Published, tmp_path: Path) -> None:
    """One file on a stick is enough for an audit, which unpacks nothing of it and asks nobody else."""
    bundle = bundled(site, tmp_path / "uji.tar")
    root = Path(shutil.copy(site.root, tmp_path / "root.json"))
    shutil.rmtree(site.folder)
    done = audit(tmp_path, root, place=str(bundle))
    assert done.exit_code == 0, done.output
    assert "Changes without input: none" in done.stdout


@pytest.mark.parametrize("kind", ["packages/", "targets/inputs/", "log/tile/entries/", "metadata/2.snapshot"])
def test_an_altered_bundle_fails(site: Published, tmp_path: Path, kind: str) -> None:
    """A bundle's own bytes are believed no more than a server's: one that says something else than what was logged is refused or told of."""
    bundle = bundled(site, tmp_path / "uji.tar")
    data = bytearray(bundle.read_bytes())
    read = lambda offset, length: bytes(data[offset : offset + length])  # noqa: E731
    offset = next(
        offset
        for path, offset, length in ustar.entries(read, len(data))
        if path.startswith(f"uji/{kind}") and length > 9
    )
    data[offset + 5] ^= 1
    bundle.write_bytes(data)
    assert audit(tmp_path, site.root, place=str(bundle)).exit_code in {1, 4}


@pytest.mark.parametrize("content", [b"", b"junk", bytes(1024)], ids=["empty", "junk", "no files"])
def test_no_bundle(site: Published, tmp_path: Path, content: bytes) -> None:
    """A file that is no bundle is refused in plain words."""
    (tmp_path / "uji.tar").write_bytes(content)
    done = audit(tmp_path, site.root, place=str(tmp_path / "uji.tar"))
    assert (done.exit_code, isinstance(done.exception, SystemExit)) == (4, True), done.output


def test_a_mirror_passes(site: Published, tmp_path: Path) -> None:
    """What a mirror keeps is enough for an audit."""
    mirror = init(tmp_path / "mirror", [str(site.public)], None, site.root, None)
    with mirror.lock():
        sync(mirror, Upstreams(mirror.settings.upstreams), LATER)
    done = audit(tmp_path / "mirror" / "public", site.root)
    assert done.exit_code == 0, done.output


def test_an_address_passes(site: Published, tmp_path: Path) -> None:
    """Over HTTP the audit says the same."""
    with mirroring(site.public.parent) as url:
        done = audit(tmp_path, site.root, place=f"{url}/uji")
    assert done.exit_code == 0, done.output
    assert "Changes without input: none" in done.stdout


INSIDER = {
    "votes": ("ppwp/1101/110101.json", lambda data: data.replace(b'"votes":[', b'"votes":[9', 1)),
    "page": ("ppwp/1101/110101.html", lambda data: data.replace(b"Aman", b"Aman!", 1)),
    "history": ("ppwp/1101/110101.json", lambda data: data.replace(b'"revision":2', b'"revision":1')),
}


@pytest.mark.parametrize("attack", INSIDER)
def test_an_insider_changes_a_figure(site: Published, monkeypatch: pytest.MonkeyPatch, attack: str) -> None:
    """THREATS 15: a figure, page or history that was changed without input, signed with the real keys and logged, is named."""
    path, change = INSIDER[attack]
    with monkeypatch.context() as inside:
        inside.setattr(
            Site, "area_files", changed_area_files(lambda name, data: change(data) if name == path else data)
        )
        site.release(NIGHT + minutes(2), fix3=correction(revision=3))
    done = site.audit()
    assert done.exit_code == 4
    assert [line.split(":")[0] for line in done.stdout.splitlines() if line.startswith("CHANGED")] == [
        f"CHANGED {path}"
    ]
    assert "from byte" in done.stdout
    assert "Changes without input: 1" in done.stdout


@pytest.mark.parametrize("missing", [False, True])
def test_a_results_file_that_is_served_altered_is_named(site: Published, missing: bool) -> None:
    """A results file that whoever serves the site altered or took away is named, with both hashes, and not the pack that has its right signature."""
    served = site.public / "ppwp/1101/110101.json"
    right = hashlib.sha256(served.read_bytes()).hexdigest()
    (stored,) = site.public.glob(f"targets/ppwp/1101/{right}.110101.json")
    altered = served.read_bytes().replace(b'"votes":[', b'"votes":[9', 1)
    for path in (served, stored):
        path.unlink()
        if not missing:
            path.write_bytes(altered)
    (change,) = site.report()["changes"]  # type: ignore[attr-defined]
    assert change["path"] == "ppwp/1101/110101.json"
    shown = "" if missing else hashlib.sha256(altered).hexdigest()
    assert (change["published"], change["rebuilt"]) == (shown, right)
    assert "CHANGED ppwp/1101/110101.json: " in site.audit().stdout


def test_what_was_not_rebuilt_is_not_told_as_unchanged(site: Published, tmp_path: Path) -> None:
    """Where a package is not what was logged, nothing is made again, and neither text nor page says that there are no changes."""
    next(site.public.glob("packages/*/rows.csv")).unlink()
    page = tmp_path / "audit.html"
    done = site.audit("--html", str(page))
    assert done.exit_code == 4
    assert "Not rebuilt, because of the problems above: changes without input were not looked for" in done.stdout
    assert "Changes without input: none" not in done.stdout
    assert '<td class="long">?' in page.read_text()


def test_an_insider_adds_and_leaves_out_files(site: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    """THREATS 15: a page that no input asks for is named, and so is one that is left out."""
    honest = Site.site_files

    def site_files(self: Site) -> Iterator[object]:
        yield from (pair for pair in honest(self) if pair[0].path != "tentang.html")
        yield entry_of("pengumuman.html", b"<!doctype html>")

    with monkeypatch.context() as inside:
        inside.setattr(Site, "site_files", site_files)
        site.release(NIGHT + minutes(2), fix3=correction(revision=3))
    told = site.report()
    assert {change["path"]: change["what"].split(",")[0] for change in told["changes"]} == {  # type: ignore[attr-defined]
        "pengumuman.html": "published",
        "tentang.html": "follows from the inputs",
    }


@pytest.mark.parametrize("path", ["packs/hasil.html", "packs/3-9.tar", "packs/2-1.tar", "packs/3-1.tar.html"])
def test_an_insider_hides_a_page_among_the_packs(
    site: Published, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: str
) -> None:
    """THREATS 15: a page that is listed below packs/, under whatever name, is named by the audit and refused by a check of the site."""
    honest = Site.site_files
    with monkeypatch.context() as inside:
        inside.setattr(Site, "site_files", lambda self: [*honest(self), entry_of(path, b"<h1>Calon 2: 99%</h1>")])
        inside.setattr("publish.release.flow.check_draft", lambda *_, **__: None)
        site.release(NIGHT + minutes(2), fix3=correction(revision=3))
    assert {change["path"] for change in site.report()["changes"]} == {path, "packs/3-1.tar"}  # type: ignore[attr-defined]
    options = ["--root", str(site.root), "--state", str(tmp_path / "s"), "--now", f"{LATER:%Y-%m-%dT%H:%M:%SZ}"]
    done = CliRunner().invoke(main, ["site", str(site.public.parent), *options])
    assert done.exit_code == 4
    assert "is no pack of this release" in done.output


@pytest.mark.parametrize("pack", [b"<h1>Calon 2: 99%</h1>", b"".join(ustar.encode([("hasil.html", b"<h1>99%</h1>")]))])
def test_an_insider_fills_a_pack_with_something_else(
    site: Published, monkeypatch: pytest.MonkeyPatch, pack: bytes
) -> None:
    """THREATS 15: a pack that is none, or holds what is listed and logged nowhere else, is named by the audit."""

    def write_packs(_site: Site, draft: Draft, *_: object) -> dict[str, tuple[int, str]]:
        sha256 = hashlib.sha256(pack).hexdigest()
        draft.packs.mkdir(exist_ok=True)
        (draft.packs / f"{sha256}.3-1.tar").write_bytes(pack)
        return {"packs/3-1.tar": (len(pack), sha256)}

    with monkeypatch.context() as inside:
        inside.setattr("publish.release.make.write_packs", write_packs)
        site.release(NIGHT + minutes(2), fix3=correction(revision=3))
    assert {(change["path"], change["published"]) for change in site.report()["changes"]} == {  # type: ignore[attr-defined]
        ("packs/3-1.tar", hashlib.sha256(pack).hexdigest())
    }


def test_rules_are_asked_again(site: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    """THREATS 15: a package that intake let through against a rule is a finding, and its figures follow from no input."""
    with monkeypatch.context() as inside:
        inside.setattr("builder.intake.REFUSE_RULES", ())
        site.release(NIGHT + minutes(2), again=correction(revision=9))
    told = site.report()
    assert "ppwp/1101/110101.json" in [change["path"] for change in told["changes"]]  # type: ignore[attr-defined]
    assert ["wrong-revision" in problem for problem in told["problems"]] == [True]  # type: ignore[attr-defined]


def test_officials_are_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """THREATS 18: a package that an official had no right to sign is a finding; one that he signed for his own area is none."""
    official = Official("1101")
    (tmp_path / "site").mkdir()
    enrol(tmp_path / "site", official.line("1101", "uji"))
    site = Published(make_workspace(tmp_path / "site"))
    site.release(own=sign_as(official, package("1101", [row("110101", 1, 10, 20)])))
    assert site.audit().exit_code == 0
    assert site.report()["official"] == 1
    with monkeypatch.context() as inside:
        inside.setattr(Admission, "judge", lambda *_, **__: ())
        site.release(NIGHT + minutes(1), other=sign_as(official, package("1201", [row("120101", 1, 10, 20)])))
    told = site.report()
    assert ["signature-scope" in problem for problem in told["problems"]] == [True]  # type: ignore[attr-defined]


def _tile(public: Path, kind: str) -> Path:
    return max((public / "log" / "tile" / kind / "000.p").iterdir(), key=lambda path: int(path.name))


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    path.write_bytes(data)


def _rows_of_one(public: Path) -> Path:
    return next(iter(sorted((public / "packages").iterdir()))) / "rows.csv"


def _input(public: Path) -> Path:
    return next((public / "targets" / "inputs").glob("*.content.tar"))


TAMPERED: dict[str, tuple[Callable[[Path], None], str]] = {
    "entry": (lambda public: _flip(_tile(public, "entries")), "not those of its checkpoint"),
    "entries-gone": (lambda public: _tile(public, "entries").unlink(), "is not in"),
    "rows": (lambda public: _flip(_rows_of_one(public)), "is not the file that it is named by"),
    "rows-gone": (lambda public: _rows_of_one(public).unlink(), "rows.csv is not in"),
    "package-gone": (lambda public: shutil.rmtree(_rows_of_one(public).parent), "recap.toml is not in"),
    "content": (lambda public: _flip(_input(public)), "wrong length or hash"),
    "snapshot": (lambda public: _flip(public / "metadata" / "1.snapshot.json"), "is not the snapshot that was logged"),
    "proof-gone": (lambda public: (public / "metadata" / "2.snapshot.json.tlog-proof").unlink(), "no log proof"),
}


@pytest.mark.parametrize("attack", TAMPERED)
def test_what_is_not_what_was_logged(site: Published, attack: str) -> None:
    """Whatever of the log or of the inputs is altered or gone is told, and never passes."""
    tamper, told = TAMPERED[attack]
    tamper(site.public)
    done = site.audit()
    assert done.exit_code in {1, 4}
    assert told in done.output


def test_a_snapshot_that_is_no_longer_kept_is_no_failure(site: Published) -> None:
    """Superseded manifests may be pruned: the log still has their hash."""
    (site.public / "metadata" / "1.snapshot.json").unlink()
    done = site.audit()
    assert done.exit_code == 0
    assert [one["kept"] for one in site.report()["releases"]] == [False, True]  # type: ignore[attr-defined]


@pytest.mark.parametrize("logged", [True, False])
def test_a_scan_that_an_order_withholds(tmp_path: Path, logged: bool) -> None:
    """A scan that is gone by a logged order is reported and fails nothing; without an order it does."""
    site = Published(make_workspace(tmp_path / "site"))
    files = package("1101", [row("110101", 1, 10, 20)])
    scan = b"\x89PNG scan"
    sha256 = hashlib.sha256(scan).hexdigest()
    files[COVER] += f'[[scans]]\nfile = "c1.png"\nsha256 = "{sha256}"\nlength = {len(scan)}\n'.encode()
    site.release(scanned={**files, "c1.png": scan})
    if logged:
        ledger = Workspace(site.folder).ledger
        with ledger.lock():
            redact(ledger, ledger.packages[0].package, "c1.png", b"Penetapan 1/2026\n")
    site.release(NIGHT + minutes(1), fix=package("1101", [row("110101", 2, 10, 20)]))
    (scanned,) = site.public.glob("packages/*/c1.png")
    scanned.unlink()
    told = site.report()
    assert told["verified"] is logged
    assert len(told["withheld"]) == logged  # type: ignore[arg-type]
    assert len(told["problems"]) == (not logged)  # type: ignore[arg-type]


def test_another_program_says_so(site: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release that another version made is not said to differ: that version must be installed."""
    monkeypatch.setattr(builder, "__version__", "9.9")
    done = site.audit()
    assert done.exit_code == 1
    assert "install that version" in done.output


def test_without_a_log_there_is_nothing_to_audit(site: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    """A site whose offline keys name no log cannot be audited."""
    monkeypatch.setattr("verifier.log.check_log", lambda *_: None)
    done = site.audit()
    assert done.exit_code == 4
    assert "has no log" in done.output


def test_a_log_without_a_cut_crashes_nothing(site: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    """A publisher who leaves a cut out of the log, or names packages that never came, is told of, and the audit goes on to its end."""
    honest = log.entry
    change = {
        "leave out": lambda cut: RefusedRecord(HASH, ("rows",)),
        "more": lambda cut: replace(cut, through=10**15),
    }
    for name, changed in change.items():
        publisher = Published(make_workspace(site.folder.with_name(name.replace(" ", "-"))))
        with monkeypatch.context() as inside:
            inside.setattr(
                log, "entry", lambda one, to=changed: honest(to(one) if getattr(one, "release", 0) == 1 else one)
            )
            publisher.release()
            publisher.release(NIGHT + minutes(1), fix=correction())
        done = publisher.audit()
        assert done.exit_code == 4, done.output
        assert "the inputs of release" in done.output


def test_what_the_log_says_later_counts(site: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the log says after a release's entry, for others' eyes perhaps, contradicts what came before no less: whoever audits that release is told."""
    before = (site.public / "metadata" / "timestamp.json").read_bytes()
    honest = log.entry
    with monkeypatch.context() as inside:
        again = lambda one: replace(one, release=2) if getattr(one, "release", 0) == 3 else one  # noqa: E731
        inside.setattr(log, "entry", lambda one: honest(again(one)))
        site.release(NIGHT + minutes(2), fix3=correction(revision=3))
    pointer = site.public / "metadata" / "timestamp.json"
    pointer.unlink()
    pointer.write_bytes(before)
    told = site.report()
    assert (told["release"], told["verified"]) == (2, False)
    assert "the inputs of release 2 follow those of 2" in told["problems"][0]  # type: ignore[index]


def test_what_is_served_is_read_if_asked_for(site: Published) -> None:
    """A page, a data file or a signature that is served altered changes nothing that is signed; with --served the audit reads it, and names it."""
    names = ("ppwp/0.html", "data/ppwp/0.datapackage.json", "ppwp/1201/120103.json")
    spoilt = [site.public / object_path(SignedFile(name, digest(site.public / name), 0)) for name in names]
    spoilt[-1] = spoilt[-1].with_name(f"{spoilt[-1].name}.minisig")
    assert site.audit("--served").exit_code == 0
    for path in spoilt:
        _flip(path)
    assert site.audit().exit_code == 0
    done = site.audit("--served")
    assert done.exit_code == 4
    named = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("PROBLEM")]
    assert sorted(named) == sorted(f"{path.relative_to(site.public)}:" for path in spoilt)


def test_an_insider_lets_another_role_sign(site: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    """A role that may sign files of a group, and lists none as yet, is named before it does."""
    shards, versions = Keyring._shards.func, make.role_versions
    with monkeypatch.context() as inside:
        inside.setattr(Keyring, "_shards", property(lambda self: {"ppwp": {*shards(self)["ppwp"], "9999"}}))
        inside.setattr(make, "role_versions", lambda *of: {**versions(*of), "ppwp-9999": 3})
        site.release(NIGHT + minutes(2), fix3=correction(revision=3))
    assert [change["path"] for change in site.report()["changes"]] == ["role ppwp-9999"]  # type: ignore[attr-defined]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("size", [2**40, 2**62])
def test_a_log_of_endless_size_takes_no_memory(site: Published, size: int) -> None:
    """A checkpoint of more entries than anybody could read, signed with the log's key, is refused before any is asked for."""
    keyring = Keyring(Workspace(site.folder))
    keyring.unlock()
    head = Checkpoint(keyring.log_key.name, size, bytes(32))
    signed = SignedCheckpoint(head, (note.sign(head.encode(), keyring.log_key, keyring.log_secret.sign),))
    (site.public / "log" / "checkpoint").write_bytes(signed.encode())
    done = site.audit()
    assert done.exit_code == 4
    assert f"{size} entries" in done.output


HASH = "ab" * 32
CUT = leaves.Inputs(1, "2026-11-03T12:00:00Z", 0, HASH, HASH, HASH, HASH, None, "1", 1)
OTHER = "cd" * 32


def replaced(cut: leaves.Inputs, release: int, trust: str) -> leaves.Inputs:
    return dataclasses.replace(cut, release=release, trust=trust)


RELEASE = leaves.Release("1.snapshot.json", 1, HASH)
CONTRADICTIONS: dict[str, tuple[list[Leaf], str]] = {
    "package-twice": ([leaves.Package(HASH, None, None), leaves.Package(HASH, None, None)], "accepted before"),
    "cut-skipped": ([leaves.Inputs(2, CUT.time, 0, HASH, HASH, HASH, HASH, None, "1", 1)], "follow those of 0"),
    "packages-unlogged": ([leaves.Inputs(1, CUT.time, 3, HASH, HASH, HASH, HASH, None, "1", 1)], "0 were accepted"),
    "time-back": ([CUT, leaves.Inputs(2, "2026-11-03T11:00:00Z", 0, HASH, HASH, HASH, HASH, None, "1", 1)], "older"),
    "trust-back": (
        [CUT, replaced(CUT, 2, OTHER), replaced(CUT, 3, HASH)],
        "goes back to offline-signed metadata",
    ),
    "release-without-inputs": ([RELEASE], "the last inputs are those of 0"),
    "two-releases": ([CUT, RELEASE, leaves.Release("1.snapshot.json", 2, HASH)], "two stories"),
    "root-skipped": ([leaves.Root("2.root.json", 1, HASH)], "does not follow root 0"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_what_no_honest_log_says(name: str) -> None:
    """A log that contradicts itself is told entry by entry."""
    entries, told = CONTRADICTIONS[name]
    assert [told in problem for problem in read_history(entries).problems] == [True]
