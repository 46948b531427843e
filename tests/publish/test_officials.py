"""Officials from enrolment to the public tree: who is enrolled is signed offline, and what they sign anyone can check."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from builder.errors import BuilderError
from builder.inbox import IntakeReport
from builder.inbox import take_in as take_in_rows
from builder.officials import Admission
from builder.recap import COVER, SIGNATURE, parse_cover
from publish.cli.keys import keys, sign
from publish.cli.main import terbit
from publish.errors import ConfigError, PublishError, SigningError
from publish.guard.expected import expect, recorded
from publish.progress import Stages
from publish.release.flow import Flow
from publish.release.intake import take_in_packages
from publish.release.record import open_record
from publish.signing.keyring import Keyring
from publish.workspace import Workspace
from tests.election import COLUMNS, NIGHT, correction, package, row, write_definition, write_package
from tests.officials import Official
from tests.programs import require
from tests.publish.test_mirror import mirroring
from tests.publish.test_packages import verify
from tests.publish.workspace import make_workspace, publish
from tests.scans import JPEG
from verifier.errors import VerificationError, VerifierError
from verifier.mirror.init import init
from verifier.mirror.sync import sync
from verifier.mirror.upstreams import Upstreams
from verifier.officials import CheckedSignature, namespace

SPACE = namespace("uji")
OFFICIAL, SUCCESSOR = Official("1101"), Official("1101 baru", hardware=True)
SCAN = b"\x89PNG"
ROWS = [row("110101", number, 100, 90) for number in (1, 2, 3)]


def sign_as(official: Official, files: Mapping[str, bytes], by: str = "1101") -> dict[str, bytes]:
    cover = files[COVER].replace(b'kind = "operator"\nby = "Penguji"', f'kind = "official"\nby = "{by}"'.encode())
    assert parse_cover(cover, COVER).attestation.kind == "official"
    return {**files, COVER: cover, SIGNATURE: official.sign(cover, SPACE)}


def enrol(workspace: Path, *lines: str) -> None:
    (workspace / "content").mkdir(exist_ok=True)
    (workspace / "content" / "allowed_signers").write_text("".join(lines))


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace whose offline keys have enrolled the official of 1101."""
    enrol(tmp_path, OFFICIAL.line("1101", "uji"))
    return make_workspace(tmp_path)


def take_in(
    workspace: Path, now: datetime = NIGHT, *, attested: bool = False, paths: tuple[Path, ...] = ()
) -> IntakeReport:
    opened = Workspace(workspace)
    with opened.lock():
        return take_in_packages(opened, paths, Stages(quiet=True), now, attested=attested)


def offline_sign(workspace: Path) -> str:
    """Draft and sign offline, as the operator and the keys' holders do; what the latter are shown."""
    runner, secrets = CliRunner(), [f"--key={workspace}/keys/offline/root-{number}.key" for number in (1, 2)]
    assert runner.invoke(keys, ["refresh", "-C", str(workspace)]).exit_code == 3
    done = runner.invoke(sign, ["-C", str(workspace), "--yes", *secrets], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_signed_package_is_public_with_its_signature(workspace: Path, tmp_path: Path) -> None:
    """THREATS 17: results, page and package name the official, and terbit-verify holds his signature against both."""
    files = sign_as(OFFICIAL, package("1101", ROWS))
    write_package(workspace / "inbox" / "a", files)
    write_package(workspace / "imports" / "b", package("1201", [row("120101", 1, 5, 6)]))
    take_in(workspace, attested=True, paths=(workspace / "imports",))
    publish(workspace)
    public = workspace / "public" / "uji"
    (source,) = json.loads((public / "ppwp" / "1101" / "110101.json").read_bytes())["sources"]
    place = public / "packages" / source["package"] / SIGNATURE
    assert place.read_bytes() == files[SIGNATURE]
    assert source["by"] == f"1101 {OFFICIAL.key.fingerprint}"
    assert (
        f"pejabat Satu (1101), ditandatangani dengan kunci {OFFICIAL.key.fingerprint}"
        in (public / "ppwp/1101/110101.html").read_text()
    )
    assert "Penguji (dimasukkan operator, tanpa tanda tangan pejabat)" in (public / "ppwp/1201/120101.html").read_text()
    assert (public / "trust" / "allowed_signers").read_text() == OFFICIAL.line("1101", "uji")
    assert verify(public / "packages", tmp_path)[0] == 0


def test_a_feed_names_an_official_by_his_area(workspace: Path) -> None:
    """The feed of corrections tells an official by the name of his area, the code behind."""
    for name, files in (("a", package("1101", ROWS)), ("b", correction())):
        write_package(workspace / "inbox" / name, sign_as(OFFICIAL, files))
        take_in(workspace)
        publish(workspace)
    assert "Oleh: Satu (1101)\n" in (workspace / "public/uji/feeds/corrections.atom").read_text()


def test_a_signed_package_with_a_scan_is_published(workspace: Path, tmp_path: Path) -> None:
    """A signed package whose scan is named after an area of its rows is published and passes site check and audit, also beside an unsigned one with a scan."""
    signed, unsigned = package("1101", ROWS), package("1201", [row("120101", 1, 5, 6)])
    for name, files in (("110101_1.png", signed), ("120101_1.png", unsigned)):
        files[COVER] += f'[[scans]]\nfile = "{name}"\nsha256 = "{sha256(SCAN).hexdigest()}"\nlength = 4\n'.encode()
        files[name] = SCAN
    write_package(workspace / "imports" / "a", sign_as(OFFICIAL, signed))
    write_package(workspace / "imports" / "b", unsigned)
    take_in(workspace, attested=True, paths=(workspace / "imports",))
    publish(workspace)
    public = workspace / "public" / "uji"
    results = json.loads((public / "ppwp" / "1101" / "110101.json").read_bytes())
    assert [one["package"] for one in results["scans"]] == [one["package"] for one in results["sources"]]
    for command in ("site", "audit"):
        exit_code, told = verify(public / "packages", tmp_path, command)
        assert (exit_code, told["packages"]) == (0, 2), told


def test_the_guard_knows_signatures(workspace: Path) -> None:
    """A package's signature is one of the files that the guard puts right, by its hash in the ledger."""
    files = sign_as(OFFICIAL, package("1101", ROWS))
    write_package(workspace / "inbox" / "a", files)
    publish(workspace)
    opened = Workspace(workspace)
    store = open_record(opened, "public")
    found = recorded(store)
    assert found is not None
    (record,) = opened.ledger.packages
    right = expect(opened, store, found).right[f"packages/{record.package}/{SIGNATURE}"]
    assert (right.sha256, right.length) == (record.signature, len(files[SIGNATURE]))


@pytest.mark.parametrize(
    "attack",
    [
        Path.unlink,
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(Official("siapa").sign((path.parent / COVER).read_bytes(), SPACE)),
    ],
    ids=["gone", "cut", "a stranger's"],
)
def test_another_signature_beside_a_package_is_found(
    workspace: Path, tmp_path: Path, attack: Callable[[Path], object]
) -> None:
    """A signature that was removed, changed or replaced by another good one is a failure that names the file."""
    write_package(workspace / "inbox" / "a", sign_as(OFFICIAL, package("1101", ROWS)))
    publish(workspace)
    (place,) = workspace.glob(f"public/uji/packages/*/{SIGNATURE}")
    attack(place)
    exit_code, told = verify(place.parent.parent, tmp_path)
    assert exit_code == 4
    assert SIGNATURE in json.dumps(told)


def test_a_mirror_takes_the_signed_signature_alone(workspace: Path, tmp_path: Path) -> None:
    """A mirror holds the official's signature; another good one over the same cover is refused, and the mirror stays as it was."""
    write_package(workspace / "inbox" / "a", sign_as(OFFICIAL, package("1101", ROWS)))
    publish(workspace)
    (place,) = workspace.glob(f"public/uji/packages/*/{SIGNATURE}")
    right, cover = place.read_bytes(), (place.parent / COVER).read_bytes()
    for pack in workspace.glob("public/uji/targets/packs/*"):  # they have the right one, too
        pack.unlink()
    root = workspace / "keys" / "metadata" / "1.root.json"
    with mirroring(workspace / "public") as url:
        for number, data in enumerate((right, Official("siapa").sign(cover, SPACE))):
            place.write_bytes(data)
            mirror = init(tmp_path / f"mirror-{number}", [f"{url}/uji"], None, root, None)
            with pytest.raises(VerificationError) if data != right else nullcontext():
                sync(mirror, Upstreams(mirror.settings.upstreams), NIGHT)
            held = [found.read_bytes() for found in mirror.root.glob(f"**/{SIGNATURE}")]
            assert held == ([right] if data == right else [])


def test_online_keys_make_nobody_an_official(workspace: Path) -> None:
    """THREATS 12, 17: whoever takes a stranger's package in past the rules gets no release that the verifier takes, the publisher's own included."""
    stranger = Official("siapa")
    files = sign_as(stranger, package("1101", ROWS))
    place = write_package(workspace / "elsewhere" / "a", files)
    opened = Workspace(workspace)
    forged = Admission(lambda *_: CheckedSignature(stranger.key.sha256))
    with opened.lock():
        report = take_in_rows(
            [place], opened.inbox, opened.ledger, opened.rows, opened.definition, lambda _: None, 0, forged
        )
    assert report.refused == {}
    with pytest.raises((PublishError, VerifierError), match="does not name for area '1101'"):
        publish(workspace)
    assert not (workspace / "public" / "uji" / "metadata" / "timestamp.json").exists()


def test_no_line_that_signed_a_package_is_taken_out(workspace: Path) -> None:
    """An official whose package is in the ledger keeps a line, since everyone looks for it; only its dates may change."""
    write_package(workspace / "inbox" / "a", sign_as(OFFICIAL, package("1101", ROWS)))
    take_in(workspace)
    enrol(workspace, SUCCESSOR.line("1101", "uji"))
    result = CliRunner().invoke(keys, ["refresh", "-C", str(workspace)])
    assert isinstance(result.exception, ConfigError)
    assert f"the line with key {OFFICIAL.key.fingerprint} and area 1101" in str(result.exception)
    enrol(workspace, SUCCESSOR.line("1101", "uji"), OFFICIAL.line("1101", "uji", ',valid-before="20261103115959Z"'))
    offline_sign(workspace)


def test_enrolment_is_signed_offline(workspace: Path) -> None:
    """THREATS 17: a changed allowed_signers stops intake and release until the offline keys, shown who comes and goes, have signed it."""
    late = ',valid-before="20261103115959Z"'
    enrol(workspace, OFFICIAL.line("1101", "uji", late), SUCCESSOR.line("1101", "uji"))
    write_package(workspace / "inbox" / "a", sign_as(OFFICIAL, package("1101", ROWS)))
    write_package(workspace / "inbox" / "b", sign_as(SUCCESSOR, package("1101", ROWS)))
    with pytest.raises(SigningError, match="allowed_signers is not what the offline keys signed"):
        take_in(workspace)
    with pytest.raises(SigningError, match="content/allowed_signers is not what the offline keys signed"):
        Keyring(Workspace(workspace)).check()
    shown = offline_sign(workspace)
    assert f"* no longer enrolled: ssh-ed25519 {OFFICIAL.key.fingerprint} for 1101\n" in shown
    assert f"* enrolled: ssh-ed25519 {OFFICIAL.key.fingerprint} for 1101 until 2026-11-03 11:59:59 UTC\n" in shown
    assert f"* enrolled: sk-ssh-ed25519@openssh.com {SUCCESSOR.key.fingerprint} for 1101\n" in shown
    Keyring(Workspace(workspace)).check()
    report = take_in(workspace)
    assert [line.rpartition(" ")[2] for (line,) in report.refused.values()] == ["[signature-expired]"]
    assert list(report.accepted) == [str(workspace / "inbox" / "b")]


def test_officials_cannot_be_taken_away_unsigned(workspace: Path) -> None:
    """THREATS 17: without content/allowed_signers, strangers' packages are not taken either, until the offline keys agree."""
    (workspace / "content" / "allowed_signers").unlink()
    write_package(workspace / "inbox" / "a", package("1101", ROWS))
    with pytest.raises(SigningError):
        take_in(workspace)
    with pytest.raises(SigningError):
        Keyring(Workspace(workspace)).check()
    assert f"* no longer enrolled: ssh-ed25519 {OFFICIAL.key.fingerprint} for 1101\n" in offline_sign(workspace)
    assert len(take_in(workspace).accepted) == 1


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("# petugas\n11* x\n", "allowed_signers, line 2: "),
        (OFFICIAL.line("1109", "uji"), "area '1109' is not in areas.csv"),
        (OFFICIAL.line("1101", "lain"), "terbit-recap@uji"),
    ],
    ids=["malformed", "unknown area", "another election"],
)
def test_what_could_never_count_is_not_drafted(workspace: Path, lines: str, problem: str) -> None:
    """A wrong allowed_signers is told before anybody is asked to sign it."""
    enrol(workspace, lines)
    result = CliRunner().invoke(keys, ["refresh", "-C", str(workspace)])
    assert isinstance(result.exception, ConfigError)
    assert problem in str(result.exception)


def test_imports_stay_out_of_the_inbox(workspace: Path) -> None:
    """Where officials sign, importers write beside the inbox, and what they wrote counts with --attest and the paths alone."""
    (workspace / "map.toml").write_text(
        'contest = "ppwp"\nseries = "count"\nby = "KPU"\n[columns]\narea = "a"\nstation = "s"\nvotes_1 = "x"\nvotes_2 = "y"\n'
    )
    (workspace / "data.csv").write_text("a,s,x,y\n110101,1,2,3\n")
    runner, at = CliRunner(), ["-C", str(workspace)]
    words = ["import", "csv", f"{workspace}/data.csv", "--map", f"{workspace}/map.toml"]
    done = runner.invoke(terbit, [*words, *at], catch_exceptions=False)
    (made,) = done.stdout.splitlines()
    assert Path(made).parent == workspace / "imports"
    assert "--attest" in done.stderr
    assert runner.invoke(terbit, ["intake", "--attest", *at]).exit_code == 2
    assert runner.invoke(terbit, ["intake", made, *at]).exit_code == 1
    assert runner.invoke(terbit, ["intake", "--attest", made, *at], catch_exceptions=False).exit_code == 0
    assert len(Workspace(workspace).ledger.packages) == 1


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ssh") / "key"
    subprocess.run([require("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


@pytest.fixture
def office(tmp_path: Path, key: Path) -> Path:
    """An official's folder: the election's definition, the file of officials, and rows."""
    kind, text, *_ = key.with_suffix(".pub").read_text().split()
    write_definition(tmp_path / "content")
    enrol(tmp_path, f'1101 namespaces="{SPACE}" {kind} {text}\n')
    (tmp_path / "rows.csv").write_text("\n".join([COLUMNS, *ROWS, ""]))
    (tmp_path / "C1.pdf").write_bytes(b"%PDF")
    (tmp_path / "1101.jpg").write_bytes(JPEG)
    return tmp_path


def pack(office: Path, key: Path, *words: str, area: str = "1101", rows: str = "rows.csv") -> Result:
    fixed = ["recap", "pack", f"{office}/{rows}", "--contest", "ppwp", "--area", area, "--key", str(key)]
    places = ["--content", f"{office}/content", "-o", f"{office}/out.zip"]
    return CliRunner().invoke(terbit, [*fixed, *places, "--series", "count", *words])


def test_what_recap_pack_makes_intake_takes(office: Path, key: Path) -> None:
    """A package by `terbit recap pack`, with scans, a thumbnail of the one that is a picture, reason and document, passes ssh-keygen -Y verify and is taken in as it is."""
    words = (
        "--form",
        "C1",
        "--document",
        "12/BA",
        "--reason",
        "late",
        "--scan",
        f"{office}/C1.pdf",
        "--scan",
        f"{office}/1101.jpg",
        "--tier",
        "kabupaten",
    )
    done = pack(office, key, *words)
    assert done.exit_code == 0, done.output
    with zipfile.ZipFile(office / "out.zip") as archive:
        names = archive.namelist()
        archive.extractall(office / "unpacked")
    assert names == [COVER, "rows.csv", "C1.pdf", "1101.jpg", "1101.jpg.thumb.png", SIGNATURE]
    check = ["-Y", "verify", "-f", f"{office}/content/allowed_signers", "-I", "1101", "-n", SPACE, "-s"]
    cover = (office / "unpacked" / COVER).read_bytes()
    subprocess.run([require("ssh-keygen"), *check, f"{office}/unpacked/{SIGNATURE}"], input=cover, check=True)
    workspace = make_workspace(office)
    report = take_in(workspace, paths=(office / "out.zip",))
    assert list(report.accepted.values()) == done.stdout.split()


def test_recap_pack_warns_of_what_the_public_would_see(office: Path, key: Path) -> None:
    """Mistakes in the form, which intake takes and pages show as findings, are told before the signing, in words; ssh-keygen's own chatter is not."""
    rows = [row("110101", 1, 100, 10, valid=999, voters=1001), row("110101", 9, 100, 90), row("110101", 2, 100, 90)]
    (office / "rows.csv").write_text("\n".join([COLUMNS, *rows, ""]))
    words = ["recap", "pack", f"{office}/rows.csv", "--contest", "ppwp", "--area", "1101", "--series", "count"]
    words += ["--key", str(key), "--content", f"{office}/content", "-o", f"{office}/out.zip"]
    program = [sys.executable, "-c", "from publish.cli.main import main; main()"]
    done = subprocess.run([*program, *words], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines() == [
        "3 findings that the public would see; intake takes them, mend the rows if they are mistakes:",
        "  110101, station 1: the candidates' votes add up to 110, valid votes are 999 [candidates-valid]",
        "  110101, station 1: 1001 voted, the list with its spare ballots has 306 [voters-list]",
        "  110101, station 9: number 9 is beyond the expected 3 polling stations [station-range]",
        f"{office}/out.zip: hand it in as it is",
    ]
    (office / "rows.csv").write_text("\n".join([COLUMNS, *ROWS, ""]))
    done = subprocess.run([*program, *words], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines() == [f"{office}/out.zip: hand it in as it is"]


def test_recap_pack_warns_of_a_recap_that_does_not_add_up(office: Path, key: Path) -> None:
    """The recapitulation's own sums are asked before it is signed, as those of stations are; limits of one station are not."""
    (office / "rows.csv").write_text("\n".join([COLUMNS, row("1101", "", 100, 200, valid=999, voters=1001), ""]))
    done = pack(office, key, "--series", "recap")
    assert done.exit_code == 0
    assert done.stderr.splitlines()[:2] == [
        "1 finding that the public would see; intake takes them, mend the rows if they are mistakes:",
        "  1101, recap: the candidates' votes add up to 300, valid votes are 999 [candidates-valid]",
    ]


def test_recap_pack_reads_another_table_by_a_map(office: Path, key: Path) -> None:
    """Rows in a table of the official's own are read by a map; those of another area are not taken."""
    (office / "map.toml").write_text(
        'contest = "x"\nseries = "recap"\nby = "x"\n[columns]\narea = "a"\nstation = "s"\nvotes_1 = "x"\nvotes_2 = "y"\n'
    )
    (office / "mine.csv").write_text("a,s,x,y\n110101,1,2,3\n")
    assert pack(office, key, "--map", f"{office}/map.toml", rows="mine.csv").exit_code == 0
    (office / "mine.csv").write_text("a,s,x,y\n110101,1,2,3\n120101,1,2,3\n")
    done = pack(office, key, "--map", f"{office}/map.toml", rows="mine.csv")
    assert "it has those of 1101, 1201" in str(done.exception)


WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "contest": (("--contest", "dpr"), "unknown-contest"),
    "area": (("--area", "9"), "unknown-area"),
    "tier": (("--tier", "desa"), "[tier]"),
    "rows of another area": (("--area", "1102", "--by", "1102"), "out-of-scope"),
    "an area above his own": (("--area", "11", "--by", "1101"), "signature-scope"),
    "an area that is not his": (("--area", "1102"), "out-of-scope"),
    "not enrolled for it": (("--by", "11"), "signature-unknown"),
    "reason": (("--reason", "x"), "[reason]"),
    "a withdrawal's reason for figures": (("--reason", "withdrawal"), "[withdrawal]"),
    "text": (("--form", "a\u202eb"), "[cover]"),
    "series": (("--series", "recap"), "[station]"),
}


@pytest.mark.parametrize(("words", "problem"), WRONG.values(), ids=WRONG)
def test_recap_pack_refuses_what_intake_would(office: Path, key: Path, words: tuple[str, ...], problem: str) -> None:
    """What intake would refuse on form, and a withdrawal that withdraws nothing, is refused before it is handed in, and no file is left."""
    done = pack(office, key, *words)
    assert isinstance(done.exception, BuilderError)
    assert problem in str(done.exception)
    assert not (office / "out.zip").exists()


def test_recap_pack_withdraws(office: Path, key: Path) -> None:
    """Rows that are withdrawn are packed with the reason of a withdrawal."""
    (office / "rows.csv").write_text("\n".join([COLUMNS, row("110101", 1, 0, 0, revision=2, state="withdrawn"), ""]))
    assert pack(office, key, "--reason", "withdrawal").exit_code == 0


@pytest.mark.parametrize("kind", ["ecdsa", "no key", "hostile rows"])
def test_recap_pack_leaves_nothing_when_it_fails(office: Path, key: Path, kind: str) -> None:
    """A key that is none or of another type, and rows that are none, leave no file."""
    if kind == "ecdsa":
        key = office / "ecdsa"
        subprocess.run([require("ssh-keygen"), "-q", "-t", "ecdsa", "-N", "", "-f", key], check=True)
    elif kind == "no key":
        key = office / "rows.csv"
    else:
        (office / "rows.csv").write_bytes(b"\xff\0")
    done = pack(office, key)
    assert isinstance(done.exception, BuilderError | PublishError | VerifierError)
    assert not (office / "out.zip").exists()


def test_expiry_is_judged_at_intake(workspace: Path) -> None:
    """A package handed in while its key counted stays good after that; its ledger record says when it was judged."""
    enrol(workspace, OFFICIAL.line("1101", "uji", ',valid-before="20261103120000Z"'))
    offline_sign(workspace)
    write_package(workspace / "inbox" / "a", sign_as(OFFICIAL, package("1101", ROWS)))
    assert len(take_in(workspace).accepted) == 1
    write_package(workspace / "inbox" / "b", sign_as(OFFICIAL, package("1101", [row("110102", 1, 1, 1)])))
    assert len(take_in(workspace, NIGHT + timedelta(seconds=1)).refused) == 1
    opened = Workspace(workspace)
    with opened.lock(), Flow(opened, Stages(quiet=True), NIGHT + timedelta(days=1)) as flow:
        flow.publish()
    assert [record.received for record in opened.ledger.packages] == [f"{NIGHT:%Y-%m-%dT%H:%M:%SZ}"]
