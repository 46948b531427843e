"""Earlier releases: each is made again from its own inputs, and held against its lists, which the log binds."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

import builder
from builder.hashing import input_hash
from builder.recap import COVER
from builder.site import Inputs, Site
from publish.redaction import redact
from publish.workspace import Workspace
from tests.election import NIGHT, correction, minutes, package, row
from tests.officials import Official
from tests.publish.test_audit import Published
from tests.publish.test_audit_templates import LOOP, archived
from tests.publish.test_officials import enrol, offline_sign, sign_as
from tests.publish.workspace import changed_area_files, copy_tree, make_workspace, publish
from verifier import limits
from verifier.audit.comparison import with_partings
from verifier.audit.earlier import Earlier
from verifier.audit.inputs import lay_out_inputs
from verifier.audit.lists import Lists
from verifier.audit.rebuild import Plan
from verifier.audit.report import Change
from verifier.audit.workshop import BuildError, Workshop
from verifier.errors import VerificationError
from verifier.fetcher import DirectoryFetcher, MissingError

CORRECTED = "ppwp/1101/110101.json"


def verdicts(site: Published, *arguments: str) -> tuple[int, dict[int, str]]:
    """The exit code of an audit, and what it says of each release."""
    done = site.audit("--json", *arguments)
    return done.exit_code, {one["release"]: one["verdict"] for one in json.loads(done.stdout)["releases"]}


@pytest.fixture(scope="module")
def five_releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every count; a correction; another definition and an official; his correction and another page; his next one."""
    site = Published(make_workspace(tmp_path_factory.mktemp("five") / "site"))
    site.release()
    site.release(NIGHT + minutes(1), fix=correction())
    definition = site.folder / "content" / "election.toml"
    definition.write_text(definition.read_text().replace("Dua", "Dua Belas"))
    official = Official("1101")
    enrol(site.folder, official.line("1101", "uji"))
    offline_sign(site.folder)
    publish(site.folder, NIGHT + minutes(2))
    page = site.folder / "content" / "pages" / "id" / "tentang.md"
    page.write_text(f"{page.read_text()}\nDan lagi.\n")
    site.release(NIGHT + minutes(3), signed=sign_as(official, correction(revision=3)))
    site.release(NIGHT + minutes(4), again=sign_as(official, correction(revision=4)))
    return site.folder


@pytest.fixture
def site(five_releases: Path, tmp_path: Path) -> Published:
    return Published(copy_tree(five_releases, tmp_path / "site"))


def test_honest_releases_are_all_the_same(site: Published) -> None:
    """Every release follows from its own inputs, definition and officials of then, made from nothing or from the one before; and the report says so."""
    same = dict.fromkeys((1, 2, 3, 4), "same")
    assert verdicts(site, "--all-releases") == (0, {**same, 5: ""})
    assert verdicts(site, "--release", "2", "--release", "4") == (0, {1: "", 2: "same", 3: "", 4: "same", 5: ""})
    assert verdicts(site) == (0, dict.fromkeys((1, 2, 3, 4, 5), ""))
    told = site.audit("--release", "3").stdout
    assert "Release 3, 2026-11-03T12:02:00Z: definition, trust, signers; made again, the same" in told


def test_only_what_changed_is_made_again(site: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    """From one release to the next only the roles in which something changed are made again, and the rest is what was made before."""
    asked: list[list[str]] = []
    honest = Workshop.run

    def run(self: Workshop, work: Callable[..., object], tasks: list[tuple[object, ...]]) -> list[object]:
        if work.__name__ == "_make":
            asked.append([str(role) for _, role, *_ in tasks])
        return honest(self, work, tasks)

    monkeypatch.setattr(Workshop, "run", run)
    assert verdicts(site, "--all-releases")[0] == 0
    assert [len(roles) for roles in asked] == [7, 7, 4, 7, 4]
    assert asked[2] == ["site", "ppwp", "ppwp-data-files", "ppwp-1101"]


def test_a_figure_of_an_earlier_release(site: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    """THREATS 15: a figure that one release showed without input, and the next one no more, is named with that release; the newest one alone looks right."""
    change = changed_area_files(
        lambda path, data: data.replace(b'"votes":[', b'"votes":[9', 1) if path == CORRECTED else data
    )
    with monkeypatch.context() as inside:
        inside.setattr(Site, "area_files", change)
        site.release(NIGHT + minutes(5), fix=sign_as(Official("1101"), correction(revision=5)))
    site.release(NIGHT + minutes(6), fix2=sign_as(Official("1101"), correction(revision=6)))
    assert verdicts(site)[0] == 0
    code, found = verdicts(site, "--all-releases")
    assert (code, found[5], found[6]) == (4, "same", "differs")
    told = site.audit("--release", "6").stdout
    assert f"CHANGED in release 6, {CORRECTED}: published otherwise than the inputs say" in told
    assert "from byte" in told


def snapshot_gone(public: Path) -> None:
    (public / "metadata" / "2.snapshot.json").unlink()


def list_gone(public: Path) -> None:
    (public / "metadata" / "2.ppwp-1101.json").unlink()


def definition_gone(public: Path) -> None:
    for path in (public / "targets" / "trust").glob("*.election.toml"):
        if "Dua Belas" not in path.read_text():
            path.unlink()


def list_altered(public: Path) -> None:
    path = public / "metadata" / "2.ppwp-1101.json"
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data.replace(b'"length":1', b'"length":2', 1))


def definition_altered(public: Path) -> None:
    for path in (public / "targets" / "trust").glob("*.election.toml"):
        text = path.read_text()
        path.unlink()
        path.write_text(text.replace("Satu", "Tiga") if "Dua Belas" not in text else text)


GONE: dict[str, tuple[Callable[[Path], None], int, str, str]] = {
    "snapshot": (snapshot_gone, 1, "unknown", "2.snapshot.json is not in"),
    "list": (list_gone, 1, "unknown", "1 of its lists are not public any more"),
    "definition": (definition_gone, 1, "unknown", "election.toml is not in"),
    "list-altered": (list_altered, 4, "unknown", "is not the file that the log binds"),
    "definition-altered": (definition_altered, 4, "unknown", "is not served as it was listed"),
}


@pytest.mark.parametrize("what", GONE)
def test_what_is_not_public_any_more(site: Published, what: str) -> None:
    """Of a release whose lists or inputs are gone nothing is said, and so it is told; altered ones are a finding."""
    spoil, code, verdict, told = GONE[what]
    spoil(site.public)
    found = verdicts(site, "--release", "2")
    assert (found[0], found[1][2]) == (code, verdict)
    assert told in site.audit("--release", "2").stdout
    assert verdicts(site)[0] == 0


def test_a_release_that_names_no_trust(site: Published, tmp_path: Path) -> None:
    """A snapshot that leaves the offline-signed role out is a finding, and no end of the audit."""
    cut = Workspace(site.folder).ledger.cuts[3]
    with Workshop(1) as workshop:
        earlier = Earlier(DirectoryFetcher(site.public), tmp_path, [], 1, workshop)
        told = [*earlier._trust_problems(cut, Lists({}, [], {}))]
    assert len(told) == 2
    assert all(one.startswith("release 4 was logged with ") for one in told)


def test_where_files_part_is_told_of_small_ones_alone() -> None:
    """To tell where some files part no more of them is held than an auditor's machine has room for."""
    asked: list[int] = []

    class Source(DirectoryFetcher):
        def fetch(self, path: str, max_length: int) -> bytes:
            asked.append(max_length)
            raise MissingError(path)

    changes = [Change(f"a/{number}.json", "differs", "00", "11") for number in range(100)]
    with Workshop(1) as workshop:
        plan = Plan(Path(), Path(), Path(), Path(), 1)
        assert with_partings(changes, plan, workshop, Source(Path())) == changes
    assert sum(asked) <= 20 * limits.RESULTS_FILE


def test_a_definition_that_is_none(site: Published, tmp_path: Path) -> None:
    """A logged definition that no builder can read is a finding, and no end of the audit."""
    definition = {"election.toml": b"id = 1\n", "areas.csv": b"code\n"}

    class Source:
        def lists(self, path: str) -> bool:
            return path == "trust/areas.csv"

        def target(self, path: str) -> bytes:
            name = path.removeprefix("trust/")
            return definition.get(name) or (site.public / path).read_bytes()

    cut = msgspec.structs.replace(Workspace(site.folder).ledger.cuts[-1], definition=input_hash(definition))
    with pytest.raises(VerificationError, match=r"election\.toml"):
        lay_out_inputs(Source(), [cut], tmp_path / "made")  # type: ignore[arg-type]


class Panic(BaseException):
    """What a library that is not written in Python raises when it gives up."""

    def __reduce__(self) -> str:
        raise TypeError("cannot travel between processes")


def panic() -> None:
    raise Panic("index out of bounds")


def test_a_panic_in_the_workshop() -> None:
    """Whatever is raised where strangers' files are read is told as what cannot be made."""
    with Workshop(1) as workshop, pytest.raises(BuildError, match="Panic: index out of bounds"):
        workshop.run(panic, [()])


def test_another_program_made_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release that another version made is not said to differ: that version has to be asked. Those after it are made from nothing."""
    site = Published(make_workspace(tmp_path / "site"))
    with monkeypatch.context() as inside:
        inside.setattr(builder, "__version__", "0.0.1")
        site.release()
    site.release(NIGHT + minutes(1), fix=correction())
    site.release(NIGHT + minutes(2), fix3=correction(revision=3))
    assert verdicts(site, "--all-releases") == (1, {1: "unknown", 2: "same", 3: ""})
    assert "was made with terbit 0.0.1" in site.audit("--release", "1").stdout


def test_templates_of_an_earlier_release_that_do_not_end(
    first_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Templates that hang the audit of one release are a finding about that one; the others are audited all the same."""
    site = Published(copy_tree(first_release, tmp_path / "site"))
    with monkeypatch.context() as inside:
        inside.setattr(Inputs, "archived", property(lambda self: archived(self, "index.html", LOOP)))
        site.release(NIGHT + minutes(1), fix=correction())
    site.release(NIGHT + minutes(2), fix3=correction(revision=3))
    monkeypatch.setattr(limits, "AUDIT_BUILD_SECONDS", 8)
    assert verdicts(site, "--all-releases") == (4, {1: "same", 2: "unknown", 3: ""})


def test_a_withheld_scan_in_its_releases(tmp_path: Path) -> None:
    """An order changes pages from the release on that tells it, and none before it."""
    site = Published(make_workspace(tmp_path / "site"))
    files, scan = package("1101", [row("110101", 1, 10, 20)]), b"\x89PNG scan"
    sha256 = hashlib.sha256(scan).hexdigest()
    files[COVER] += f'[[scans]]\nfile = "110101_1.png"\nsha256 = "{sha256}"\nlength = {len(scan)}\n'.encode()
    site.release(scanned={**files, "110101_1.png": scan})
    ledger = Workspace(site.folder).ledger
    with ledger.lock():
        redact(ledger, ledger.packages[0].package, "110101_1.png", b"Penetapan 1/2026\n")
    publish(site.folder, NIGHT + minutes(1))
    site.release(NIGHT + minutes(2), other=package("1101", [row("110101", 2, 10, 20)]))
    assert verdicts(site, "--all-releases") == (0, {1: "same", 2: "same", 3: ""})


def test_a_release_that_is_not_in_the_log(site: Published) -> None:
    """A number that the log does not have is said at once."""
    done = site.audit("--release", "9")
    assert done.exit_code == 1
    assert "the log has no release 9" in done.output
