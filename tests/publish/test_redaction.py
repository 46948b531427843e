"""Withheld scans: by a logged order that everybody can read, and in no other way."""

import hashlib
import json
import shutil
from html import unescape
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from builder.ledger import Ledger, RedactedRecord
from builder.recap import COVER
from builder.thumbnails import SUFFIX
from publish.cli.main import terbit
from publish.errors import PublishError
from publish.progress import Stages
from publish.redaction import redact
from publish.release.intake import take_in_packages
from publish.workspace import Workspace
from tests.election import NIGHT, correction, minutes
from tests.publish.test_guard import look
from tests.publish.test_second import Pair
from tests.publish.workspace import deliver, make_workspace, publish
from tests.scans import JPEG, THUMBNAIL, with_scans
from verifier.bundle import import_bundle
from verifier.cli.main import main as terbit_verify
from verifier.mirror.folder import Folder
from verifier.mirror.init import init
from verifier.mirror.sync import sync
from verifier.mirror.upstreams import Upstreams

SCAN, OTHER = b"\x89PNG names and signatures", b"%PDF another form"
ORDER = b"Penetapan Pengadilan Negeri Uji 1/2026: pindaian C1 tidak lagi ditampilkan.\n"
LATER = NIGHT + minutes(10)


class Site:
    """A workspace with one package that has two scans; release 1 shows them."""

    def __init__(
        self, folder: Path, config: str = "workers = 1\n", names: tuple[str, str] = ("c1.png", "d.pdf")
    ) -> None:
        self.folder, self.name = make_workspace(folder, config), names[0]
        self.public = folder / "public" / "uji"
        deliver(self.folder)
        files = correction()
        for name, data in zip(names, (SCAN, OTHER), strict=True):
            sha256 = hashlib.sha256(data).hexdigest()
            files[COVER] += f'[[scans]]\nfile = "{name}"\nsha256 = "{sha256}"\nlength = {len(data)}\n'.encode()
            files[name] = data
        deliver(self.folder, {"scanned": files})
        publish(self.folder)
        self.package = hashlib.sha256(files[COVER]).hexdigest()
        self.scan = self.public / "packages" / self.package / self.name
        self.order = self.scan.with_name(f"{hashlib.sha256(ORDER).hexdigest()}.order.txt")

    def redact(self, *arguments: str, order: bytes = ORDER) -> Result:
        text = self.folder / "order.txt"
        text.write_bytes(order)
        words = arguments or (self.package, self.name)
        return CliRunner().invoke(terbit, ["redact", *words, f"--order={text}", "-C", str(self.folder)])

    def withhold(self) -> None:
        """The whole way: order, release, guard."""
        done = self.redact()
        assert done.exit_code == 0, done.output
        publish(self.folder, NIGHT + minutes(5))
        look(self.folder, now=NIGHT + minutes(6))

    def verify(self, command: str = "site", place: Path | None = None) -> dict[str, object]:
        return verify(command, self.folder, place or self.public)


def verify(command: str, folder: Path, place: Path) -> dict[str, object]:
    """What a command of a new reader says of a site, with the root of the workspace in `folder`."""
    shutil.rmtree(folder / "reader", ignore_errors=True)
    options = [f"--root={folder / 'keys/metadata/1.root.json'}", f"--state={folder / 'reader'}", "--json"]
    words = [command, str(place), *options, f"--now={LATER:%Y-%m-%dT%H:%M:%SZ}"]
    told = CliRunner().invoke(terbit_verify, words)
    found: dict[str, object] = json.loads(told.stdout)
    assert found["verified"] == (told.exit_code == 0)
    return found


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "work")


def test_an_order_withholds_a_scan(site: Site) -> None:
    """The scan leaves the public's sight, its order is there to be read, and clients and auditors tell it and fail nothing."""
    site.withhold()
    assert not site.scan.exists()
    assert site.order.read_bytes() == ORDER
    assert site.scan.with_name("d.pdf").read_bytes() == OTHER
    told = {"path": f"packages/{site.package}/c1.png", "order": f"packages/{site.package}/{site.order.name}"}
    for command in ("site", "audit"):
        found = site.verify(command)
        assert found["verified"], found
        assert [told] == [
            one if isinstance(one, dict) else dict(zip(("path", "order"), one, strict=True))
            for one in found["withheld"]  # type: ignore[attr-defined]
        ]
    assert site.redact().exit_code == 0  # again: nothing to do
    assert publish(site.folder, LATER)[1]["release"] == 2


@pytest.mark.parametrize("name", ["110101_2.png", "110101.png"], ids=["of a station", "of the village"])
def test_a_page_says_that_a_scan_is_withheld(tmp_path: Path, name: str) -> None:
    """From the release that tells of the order, the area's page links the order instead of the scan; every other page and results file stays as it was."""
    site = Site(tmp_path / "work", names=(name, "110101_3.pdf"))
    page, before = site.public / "ppwp" / "1101" / "110101.html", pages(site)
    link = f'<a href="../../packages/{site.package}/'
    assert f'{link}{name}">{name}</a>' in unescape(page.read_text())
    site.withhold()
    shown = unescape(page.read_text())
    assert f'{link}{name}"' not in shown
    assert f'{link}{site.order.name}">ditahan menurut putusan' in shown
    assert f'{link}110101_3.pdf">110101_3.pdf</a>' in shown
    assert [path for path, data in pages(site).items() if before[path] != data] == ["ppwp/1101/110101.html"]
    for command in ("site", "audit"):
        assert site.verify(command)["verified"], site.verify(command)


@pytest.mark.parametrize("name", ["110101_2.jpg", "110101.jpg"], ids=["of a station", "of the village"])
def test_a_thumbnail_is_withheld_with_its_scan(tmp_path: Path, name: str) -> None:
    """An order for a scan takes its thumbnail out of the page and out of the public's sight, under the same order; another scan's stays."""
    folder = make_workspace(tmp_path / "work", "workers = 1\n")
    deliver(folder)
    files = with_scans(with_scans(correction(), name), "110101_3.jpg", scan=JPEG + b"3", thumbnail=THUMBNAIL + b"3")
    deliver(folder, {"scanned": files})
    publish(folder)
    package, public = hashlib.sha256(files[COVER]).hexdigest(), folder / "public" / "uji"
    page, kept = public / "ppwp" / "1101" / "110101.html", (public / "packages" / package)
    thumbnails = {f"{name}{SUFFIX}", f"110101_3.jpg{SUFFIX}"}
    assert {one for one in thumbnails if f"/{one}?sha256=" in unescape(page.read_text())} == thumbnails
    assert thumbnails < {path.name for path in kept.iterdir()}
    workspace = Workspace(folder)
    with workspace.ledger.lock():
        for _ in range(2):
            assert redact(workspace.ledger, package, name, ORDER).file == hashlib.sha256(JPEG).hexdigest()
    assert len(workspace.ledger.withheld(package)) == 2
    publish(folder, NIGHT + minutes(5))
    look(folder, now=NIGHT + minutes(6))
    assert [one for one in thumbnails if f"/{one}?sha256=" in unescape(page.read_text())] == [f"110101_3.jpg{SUFFIX}"]
    left = {path.name for path in kept.iterdir()}
    assert left & {name, *thumbnails, "110101_3.jpg"} == {"110101_3.jpg", f"110101_3.jpg{SUFFIX}"}
    for command in ("site", "audit"):
        found = verify(command, folder, public)
        assert found["verified"], found
        assert len(found["withheld"]) == 2  # type: ignore[arg-type]


def test_the_estimate_leaves_withheld_scans_out(tmp_path: Path) -> None:
    """What a package's release will send is estimated without the scan that an order withholds before it."""
    deliver(make_workspace(tmp_path / "work"))
    with (tmp_path / "work" / "terbit.toml").open("a") as config:
        config.write("\nfull_packs_hours = 0\n")  # else one of the two plans, made now, has them
    publish(tmp_path / "work")
    files, scan = correction(), bytes(1_000_000)
    sha256 = hashlib.sha256(scan).hexdigest()
    files[COVER] += f'[[scans]]\nfile = "110101_2.png"\nsha256 = "{sha256}"\nlength = {len(scan)}\n'.encode()
    deliver(tmp_path / "work", {"scanned": {**files, "110101_2.png": scan}})
    workspace = Workspace(tmp_path / "work")
    with workspace.lock():
        take_in_packages(workspace, (), Stages(quiet=True), NIGHT)
    shown = planned(tmp_path / "work")
    with workspace.ledger.lock():
        redact(workspace.ledger, hashlib.sha256(files[COVER]).hexdigest(), "110101_2.png", ORDER)
    assert len(scan) * 0.99 < shown - planned(tmp_path / "work") < len(scan)


def planned(folder: Path) -> int:
    """How many bytes `terbit plan` says that a release sends."""
    told = CliRunner().invoke(terbit, ["plan", "--quiet", "--json", "-C", str(folder)])
    (load,) = json.loads(told.stdout)["targets"].values()
    return int(load["bytes"])


def pages(site: Site) -> dict[str, bytes]:
    return {path.relative_to(site.public).as_posix(): path.read_bytes() for path in site.public.glob("ppwp/**/*") if path.is_file()}  # fmt: skip


def test_a_scan_that_is_removed_without_an_order_is_a_failure(site: Site) -> None:
    """THREATS 15: nobody takes a scan away unseen: whoever deletes it, deletes something else under an order, or drops the order's text is told."""
    site.withhold()
    kept = site.scan.with_name("d.pdf")
    kept.unlink()
    for command in ("site", "audit"):
        assert not site.verify(command)["verified"]
    assert "no logged order withholds it" in str(site.verify()["failures"])
    kept.write_bytes(OTHER)
    assert site.verify()["verified"]
    for name in ("rows.csv", COVER, site.order.name):
        path = site.scan.with_name(name)
        data = path.read_bytes()
        path.unlink()
        for command in ("site", "audit"):
            assert not site.verify(command)["verified"], name
        path.write_bytes(data)
    site.order.unlink()
    site.order.write_bytes(ORDER + b"and another one\n")
    for command in ("site", "audit"):
        assert not site.verify(command)["verified"]


@pytest.mark.parametrize("logged", [False, True], ids=["not yet in the log", "in the log, not in that of the release"])
def test_an_order_counts_once_a_release_tells_it(site: Site, logged: bool) -> None:
    """Before the release that tells it, which witnesses see, the scan must be there: the guard puts it back, and a client wants it."""
    assert site.redact().exit_code == 0
    if logged:
        from publish.signing.keyring import Keyring
        from publish.translog.log import Log

        keyring = Keyring(Workspace(site.folder))
        Log(Workspace(site.folder).log, keyring.log_key, keyring.log_secret.sign).append(Ledger(site.folder / "ledger"))
    site.scan.unlink()
    assert not site.verify()["verified"]
    assert [one.done for one in look(site.folder, now=LATER)][:1] == ["put back"]
    assert site.verify()["verified"]


def test_the_guard_takes_it_away_and_keeps_no_copy(site: Site) -> None:
    """The guard removes what an order withholds, tells it as that, is content then, and does not lay the bytes aside; strange bytes there are what they are."""
    assert site.redact().exit_code == 0
    publish(site.folder, NIGHT + minutes(5))
    (finding,) = look(site.folder, now=LATER)
    assert (finding.what, finding.done) == ("withheld", "removed")
    assert not site.scan.exists()
    assert look(site.folder, now=LATER) == []
    kept = [path for path in site.folder.rglob("*") if path.is_file() and path.read_bytes() == SCAN]
    assert kept == [site.folder / "ledger" / "packages" / site.package / "c1.png"]
    site.scan.write_bytes(b"<h1>Menang!</h1>")
    (finding,) = look(site.folder, now=LATER)
    assert finding.what == "added"
    assert not site.scan.exists()


def test_mirrors_follow(site: Site, tmp_path: Path) -> None:
    """A mirror that comes later has the order in the scan's place, is whole by its own check, and hands that on in a bundle."""
    site.withhold()
    root = site.folder / "keys" / "metadata" / "1.root.json"
    folder = init(tmp_path / "mirror", [str(site.public)], "uji", root, None)
    sync(folder, Upstreams(folder.settings.upstreams), LATER)
    place = folder.public / "packages" / site.package
    assert sorted(path.name for path in place.iterdir()) == sorted([site.order.name, COVER, "d.pdf", "rows.csv"])
    assert site.verify(place=folder.public)["withheld"]
    words = ["bundle", str(folder.public), "-o", str(tmp_path / "uji.tar"), f"--root={root}"]
    done = CliRunner().invoke(terbit_verify, [*words, f"--state={tmp_path / 's'}", f"--now={LATER:%Y-%m-%dT%H:%M:%SZ}"])
    assert done.exit_code == 0, done.output
    import_bundle(tmp_path / "uji.tar", tmp_path / "other", root, None, LATER)
    assert site.verify(place=Folder(tmp_path / "other").public)["withheld"]


def test_a_mirror_may_keep_what_it_has(site: Site, tmp_path: Path) -> None:
    """A mirror that had the scan before the order is as whole with it as without it, once it has the order."""
    root = site.folder / "keys" / "metadata" / "1.root.json"
    folder = init(tmp_path / "mirror", [str(site.public)], "uji", root, None)
    sync(folder, Upstreams(folder.settings.upstreams), NIGHT + minutes(1))
    site.withhold()
    sync(folder, Upstreams(folder.settings.upstreams), LATER)
    scan = folder.public / "packages" / site.package / "c1.png"
    assert scan.read_bytes() == SCAN
    for command in ("site", "audit"):
        assert (site.verify(command, folder.public)["verified"], site.verify(command, folder.public)["withheld"]) == (
            True,
            [],
        )
    scan.unlink()
    assert not site.verify(place=folder.public)["verified"]
    sync(folder, Upstreams(folder.settings.upstreams), LATER, full=True)
    assert site.verify(place=folder.public)["withheld"]


def test_a_mirror_takes_no_order_that_is_not_logged(site: Site, tmp_path: Path) -> None:
    """A mirror whose upstream has lost a scan, with an order that no entry names, does not catch up."""
    site.scan.unlink()
    site.order.write_bytes(ORDER)
    root = site.folder / "keys" / "metadata" / "1.root.json"
    folder = init(tmp_path / "mirror", [str(site.public)], "uji", root, None)
    with pytest.raises(Exception, match=r"c1\.png"):
        sync(folder, Upstreams(folder.settings.upstreams), LATER)


def test_a_publisher_recovers_without_it(site: Site, tmp_path: Path) -> None:
    """What is rebuilt from the public tree lacks the scan, has the order, goes on publishing, and puts nothing back."""
    site.withhold()
    for name in ("ledger", "build"):
        shutil.rmtree(site.folder / name)
    done = CliRunner().invoke(terbit, ["recover", str(site.public), "-C", str(site.folder)])
    assert done.exit_code == 0, done.output
    shutil.copytree(site.public, tmp_path / "before")
    shutil.rmtree(site.public)
    deliver(site.folder, {"two": correction("110102", 1)})
    assert publish(site.folder, LATER)[1]["release"] == 3
    assert not site.scan.exists()
    assert site.order.read_bytes() == ORDER
    assert site.verify("audit")["verified"]


REFUSED = {
    "rows": ("rows.csv", ORDER, "nothing but scans"),
    "cover": (COVER, ORDER, "nothing but scans"),
    "no such file": ("x.png", ORDER, "nothing but scans"),
    "empty": ("c1.png", b"", "at most"),
    "too long": ("c1.png", b"x" * 64_001, "at most"),
    "no text": ("c1.png", b"\xff\xfe", "no text"),
    "turned around": ("c1.png", "a\u202eb".encode(), "control characters"),
    "escape": ("c1.png", b"\x1b[2J", "control characters"),
}


@pytest.mark.parametrize(("file", "order", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_withheld(site: Site, file: str, order: bytes, says: str) -> None:
    """Figures and covers stay public whatever is ordered, and an order is a plain text."""
    before = (site.folder / "ledger" / "records.jsonl").read_bytes()
    done = site.redact(site.package, file, order=order)
    assert isinstance(done.exception, PublishError)
    assert says in str(done.exception)
    assert (site.folder / "ledger" / "records.jsonl").read_bytes() == before


def test_a_stop_before_the_record_is_made_good(site: Site) -> None:
    """An order that was written and not recorded disturbs nothing; the same call records it, and another order for the same scan is refused."""
    ledger = Ledger(site.folder / "ledger")
    (ledger.directory / "packages" / site.package / site.order.name).write_bytes(ORDER)
    assert publish(site.folder, NIGHT + minutes(5))[1]["release"] == 1
    assert site.redact().exit_code == 0
    record = Ledger(ledger.directory).records[-1]
    assert record == RedactedRecord(site.package, hashlib.sha256(SCAN).hexdigest(), site.order.name.partition(".")[0])
    with ledger.lock(), pytest.raises(PublishError, match="withheld already"):
        redact(ledger, site.package, "c1.png", b"another order")


def test_the_second_signer_signs_without_it(tmp_path: Path) -> None:
    """A scan that is withheld before its first release is never laid out for the second signer, and he signs all the same."""
    pair = Pair(tmp_path)
    deliver(pair.publisher)
    files, (scan, sha256) = correction(), (SCAN, hashlib.sha256(SCAN).hexdigest())
    files[COVER] += f'[[scans]]\nfile = "c1.png"\nsha256 = "{sha256}"\nlength = {len(scan)}\n'.encode()
    deliver(pair.publisher, {"scanned": {**files, "c1.png": scan}})
    assert CliRunner().invoke(terbit, ["intake", "-C", str(pair.publisher)]).exit_code == 0
    ledger = Ledger(pair.publisher / "ledger")
    with ledger.lock():
        redact(ledger, hashlib.sha256(files[COVER]).hexdigest(), "c1.png", ORDER)
    pair.release()
    publish(pair.publisher, NIGHT + minutes(1))
    assert not list(tmp_path.glob("exchange/**/c1.png"))
    assert not list((pair.publisher / "public").rglob("c1.png"))
    assert [path.read_bytes() for path in (pair.publisher / "public").rglob("*.order.txt")] == [ORDER]
