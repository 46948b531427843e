"""Officials' packages at intake: who may speak for which area, and what is told of those who may not."""

import hashlib
import json
import time
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec
import pytest

from builder import limits
from builder.errors import LedgerError
from builder.inbox import IntakeReport, packages_in, take_in
from builder.ledger import Ledger, PackageRecord, RefusedRecord
from builder.officials import Admission
from builder.recap import COVER, SIGNATURE, Attestation, Cover, package_files, read_hand_in
from builder.results import Views, encode_view
from builder.rows import load_rows
from builder.tally import tally
from tests.builder.elections import SMALL_AREAS, SMALL_TOML, define, line, make_cuts, make_package
from tests.officials import Official
from verifier.files import named_packages
from verifier.formats.allowed_signers import AllowedSigners
from verifier.officials import check_signature, namespace

# 119 begins like 11 and lies beneath 12; 777 begins like nothing and lies beneath 11.
AREAS = SMALL_AREAS.replace('112,11,desa,"Dua, Belas"', "777,11,desa,Tujuh").replace(
    "121,12,desa,Tujuh", "119,12,desa,Sembilan"
)
ELECTION = define(SMALL_TOML, AREAS.encode())
SPACE = namespace(ELECTION.election.id)
NOW = datetime(2029, 2, 15, 12, tzinfo=UTC)
PROVINCE, REGENCY, VILLAGE = Official("satu"), Official("sebelas", hardware=True), Official("seratus")
OTHER, FORMER, STRANGER = Official("dua belas"), Official("dulu"), Official("siapa")
ALLOWED = AllowedSigners.parse(
    "".join(
        [
            PROVINCE.line("1", "small-2029"), REGENCY.line("11", "small-2029"), VILLAGE.line("111", "small-2029"),
            OTHER.line("12", "small-2029"), FORMER.line("11", "small-2029", ',valid-before="20290214235959Z"'),
            FORMER.line("12", "small-2029"),
        ]
    ).encode()
)  # fmt: skip
OFFICIALS = Admission(partial(check_signature, allowed=ALLOWED, time=NOW))
ATTESTED = Admission(OFFICIALS.check, attested=True)


def unsigned(area: str, row: str, *, kind: str = "official", by: str = "", series: str = "count") -> dict[str, bytes]:
    made = make_package(
        ELECTION, line(ELECTION, row, "1" if series == "count" else "", votes_1=10), area=area, series=series
    )
    cover = msgspec.structs.replace(made.cover, attestation=Attestation(kind, by or area))  # type: ignore[arg-type]
    return package_files(cover, made.rows)


def signed(
    official: Official, area: str, row: str, *, by: str = "", series: str = "count", space: str = SPACE
) -> dict[str, bytes]:
    files = unsigned(area, row, by=by, series=series)
    return {**files, SIGNATURE: official.sign(files[COVER], space)}


def hand_in(folder: Path, *packages: Mapping[str, bytes], inbox: str = "inbox") -> None:
    for number, files in enumerate(packages):
        place = folder / inbox / f"package-{number}"
        place.mkdir(parents=True)
        for name, data in files.items():
            (place / name).write_bytes(data)


def run(
    folder: Path, admission: Admission = OFFICIALS, *, inbox: str = "inbox", now: datetime = NOW
) -> tuple[IntakeReport, Ledger]:
    ledger = Ledger(folder / "ledger")
    rows = load_rows(ledger, ELECTION, None)
    found = packages_in(folder / inbox)
    return take_in(found, folder / "inbox", ledger, rows, ELECTION, lambda _: None, now.timestamp(), admission), ledger


TAKEN = {
    "own area": signed(REGENCY, "11", "111"),
    "a village of his": signed(REGENCY, "111", "111", by="11"),
    "a village that begins otherwise": signed(REGENCY, "777", "777", by="11"),
    "from above": signed(PROVINCE, "111", "111", by="1"),
    "recap of his area": signed(REGENCY, "11", "11", series="recap"),
    "recap by the tier above": signed(PROVINCE, "11", "11", by="1", series="recap"),
    "village": signed(VILLAGE, "111", "111"),
}


@pytest.mark.parametrize("files", TAKEN.values(), ids=TAKEN)
def test_officials_speak_for_what_lies_beneath_them(tmp_path: Path, files: dict[str, bytes]) -> None:
    """An official's package is taken for his area and beneath it; the ledger has hashes of signature and key, the time, and every byte."""
    hand_in(tmp_path, files)
    report, ledger = run(tmp_path)
    assert report.refused == {}
    (record,) = ledger.records
    assert isinstance(record, PackageRecord)
    assert record.signature == hashlib.sha256(files[SIGNATURE]).hexdigest()
    assert record.signer in {official.key.sha256 for official in (PROVINCE, REGENCY, VILLAGE)}
    assert record.received == "2029-02-15T12:00:00Z"
    assert dict(ledger.read(record).files) == files


def resigned(by: str) -> dict[str, bytes]:
    """The package of one official under the signature of another cover of his."""
    return {**signed(REGENCY, "11", "111", by=by), SIGNATURE: signed(REGENCY, "11", "777")[SIGNATURE]}


REFUSED = {
    "unsigned": (unsigned("11", "111"), "signature-missing", None),
    "forged attestation": (unsigned("11", "111", kind="operator", by="KPU"), "signature-missing", None),
    "signed attestation": (
        {**unsigned("11", "111", kind="operator"), SIGNATURE: b""}, "signature-unwanted", None,
    ),
    "no signature at all": ({**unsigned("11", "111"), SIGNATURE: b"tertanda\n"}, "signature-bad", None),
    "of another cover": (resigned("11"), "signature-bad", None),
    "for another election": (signed(REGENCY, "11", "111", space="terbit-recap@lain"), "signature-bad", None),
    "stranger": (signed(STRANGER, "11", "111"), "signature-unknown", None),
    "in another's name": (signed(OTHER, "11", "111"), "signature-unknown", OTHER),
    "out of office": (signed(FORMER, "11", "111"), "signature-expired", FORMER),
    "another regency": (signed(OTHER, "11", "111", by="12"), "signature-scope", OTHER),
    "another's village": (signed(REGENCY, "119", "119", by="11"), "signature-scope", REGENCY),
    "a village for its regency": (signed(VILLAGE, "11", "111", by="111"), "signature-scope", VILLAGE),
    "a regency for its province": (signed(REGENCY, "1", "1", by="11", series="recap"), "signature-scope", REGENCY),
    "a row of another area": (signed(REGENCY, "11", "119"), "out-of-scope", REGENCY),
    "a recap of the tier above": (signed(REGENCY, "11", "1", series="recap"), "out-of-scope", REGENCY),
}  # fmt: skip


@pytest.mark.parametrize(("files", "rule", "signer"), REFUSED.values(), ids=REFUSED)
def test_others_are_refused_and_recorded(
    tmp_path: Path, files: dict[str, bytes], rule: str, signer: Official | None
) -> None:
    """THREATS 17, 18, 28: what is unsigned, forged or out of scope changes no figure, lies aside with a report, and is recorded with its rule."""
    hand_in(tmp_path, files)
    report, ledger = run(tmp_path)
    assert (report.accepted, ledger.packages) == ({}, [])
    (record,) = ledger.records
    assert isinstance(record, RefusedRecord)
    assert (record.package, record.rules) == (hashlib.sha256(files[COVER]).hexdigest(), (rule,))
    told = json.loads((tmp_path / "inbox" / "refused" / "package-0.report.json").read_bytes())
    assert [one["rule"] for one in told["refused"]] == [rule]
    assert record.signer == (signer.key.sha256 if signer else None)


def test_the_operator_vouches_only_outside_the_inbox(tmp_path: Path) -> None:
    """THREATS 17: with --attest an unsigned package counts where the operator keeps his own; one that a stranger put into the inbox never does."""
    hand_in(tmp_path, unsigned("11", "111", kind="operator", by="KPU"))
    hand_in(tmp_path, unsigned("12", "119", kind="operator", by="KPU"), inbox="imports")
    hand_in(tmp_path, unsigned("12", "119"), inbox="imports/more")
    (tmp_path / "link").symlink_to(tmp_path / "inbox")
    for inbox in ("link", "imports", "imports/more"):
        report, ledger = run(tmp_path, ATTESTED, inbox=inbox)
        assert bool(report.accepted) == (inbox == "imports")
    assert [record.signer for record in ledger.packages] == [None]


@pytest.mark.parametrize(("kind", "taken"), [("operator", True), ("official", False)])
def test_an_election_without_officials(tmp_path: Path, kind: str, taken: bool) -> None:
    """Where nobody is enrolled the operator's word does as ever, and nobody can call himself an official."""
    files = unsigned("11", "111", kind=kind)
    hand_in(tmp_path, files if taken else {**files, SIGNATURE: REGENCY.sign(files[COVER], SPACE)})
    report, ledger = run(tmp_path, Admission())
    assert bool(report.accepted) == taken
    assert [record.rules for record in ledger.records if isinstance(record, RefusedRecord)] == (
        [] if taken else [("signature-unknown",)]
    )


def test_a_package_whose_signature_is_still_on_its_way_waits(tmp_path: Path) -> None:
    """A cover that names an official, written just now and without a signature, is looked at again; a forged attestation is not."""
    hand_in(tmp_path, unsigned("11", "111"), unsigned("11", "111", kind="operator"))
    report, _ = run(tmp_path, now=datetime.fromtimestamp(time.time(), UTC))
    assert (list(report.waiting), list(report.refused)) == (
        [str(tmp_path / "inbox" / "package-0")],
        [str(tmp_path / "inbox" / "package-1")],
    )


def test_refusals_are_recorded_once_for_each_official(tmp_path: Path) -> None:
    """THREATS 28: a stranger who hands in an official's cover first, or again and again, does not keep his own refusal out of the ledger."""
    own = signed(REGENCY, "1", "1", by="11", series="recap")
    strangers = [{**own, SIGNATURE: Official(str(number)).sign(own[COVER], SPACE)} for number in range(3)]
    for packages in (strangers, [own, own], [*strangers, own]):
        hand_in(tmp_path, *packages)
        _, ledger = run(tmp_path)
    assert [(one.signer, one.rules) for one in ledger.records if isinstance(one, RefusedRecord)] == [
        (None, ("signature-unknown",)),
        (REGENCY.key.sha256, ("signature-scope",)),
    ]


def test_a_flood_of_strangers_fills_no_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what nobody enrolled has signed only so much is recorded in a run, and how much was not is told; an official's refusal always is."""
    monkeypatch.setattr(limits, "REFUSED_RECORDS_COUNT", 2)
    flood = [unsigned("11", "111", by=str(number)) for number in range(4)]
    hand_in(tmp_path, *flood, signed(FORMER, "11", "111"))
    report, ledger = run(tmp_path)
    assert (len(report.refused), report.unrecorded) == (5, 2)
    assert [one.signer for one in ledger.records if isinstance(one, RefusedRecord)] == [None, None, FORMER.key.sha256]


ENDED = Official("habis")
FLOODS = {"an official": (REGENCY, REGENCY), "a key that counts no more": (ENDED, STRANGER)}


@pytest.mark.parametrize(("first", "second"), FLOODS.values(), ids=FLOODS)
def test_a_flood_of_signed_refusals_fills_no_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: Official, second: Official
) -> None:
    """Of one official only so much is recorded in a run, others' refusals being recorded all the same; a key that counts no more is a stranger's."""
    monkeypatch.setattr(limits, "REFUSED_RECORDS_COUNT", 2)
    ended = ENDED.line("11", "small-2029", ',valid-before="20290214235959Z"').encode()
    allowed = AllowedSigners((*ALLOWED.signers, *AllowedSigners.parse(ended).signers))
    flood = [signed(one, "12", row, by="11") for one in (first, second) for row in ("12", "119")]
    flood += [signed(first, "1", "1", by="11"), signed(OTHER, "11", "111", by="12")]
    hand_in(tmp_path, *flood)
    report, ledger = run(tmp_path, Admission(partial(check_signature, allowed=allowed, time=NOW)))
    told = [one.signer for one in ledger.records if isinstance(one, RefusedRecord)]
    assert len(report.refused) == 6
    assert told == [first.key.sha256, first.key.sha256, OTHER.key.sha256]


def test_a_damaged_copy_of_an_accepted_package_is_no_refusal(tmp_path: Path) -> None:
    """Whoever hands in an accepted cover once more with other rows does not make the ledger say that it was refused."""
    good = signed(REGENCY, "11", "111")
    hand_in(tmp_path, good, {**good, "rows.csv": b"x"})
    report, ledger = run(tmp_path)
    assert (len(report.accepted), len(report.refused)) == (1, 1)
    assert [type(record) for record in ledger.records] == [PackageRecord]


def packed(path: Path, files: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_what_names_a_hand_in(tmp_path: Path) -> None:
    """A hand-in is named by its cover, in a folder or zip, readable as a package or not; a zip without a cover by itself; nothing else has a name."""
    files = signed(REGENCY, "11", "111")
    name = hashlib.sha256(files[COVER]).hexdigest()
    for broken in (files, {**files, "rows.csv": b"x"}, {**files, "other": b""}):
        for place in (
            packed(tmp_path / "a.zip", broken),
            packed(tmp_path / "b.zip", {f"in/{key}": data for key, data in broken.items()}),
        ):
            assert read_hand_in(place) == (name, files[COVER], files[SIGNATURE])
    hand_in(tmp_path, {**files, "rows.csv": b"x"})
    assert read_hand_in(tmp_path / "inbox" / "package-0") == (name, files[COVER], files[SIGNATURE])
    for data in (b"no zip", packed(tmp_path / "c.zip", {"rows.csv": b""}).read_bytes()):
        (tmp_path / "d.zip").write_bytes(data)
        assert read_hand_in(tmp_path / "d.zip") == (hashlib.sha256(data).hexdigest(), None, None)
    (tmp_path / "link.zip").symlink_to(tmp_path / "a.zip")
    (tmp_path / "folder").mkdir()
    assert [read_hand_in(tmp_path / place) for place in ("link.zip", "folder", "nothing")] == [None, None, None]


def test_an_unreadable_package_of_an_official_is_recorded_with_his_key(tmp_path: Path) -> None:
    """THREATS 28: a signed package with wrong rows is refused under its own name, signature and key."""
    files = {**signed(REGENCY, "11", "111"), "rows.csv": b"x"}
    hand_in(tmp_path, files)
    _, ledger = run(tmp_path)
    sha256 = {name: hashlib.sha256(files[name]).hexdigest() for name in (COVER, SIGNATURE)}
    assert ledger.records == [RefusedRecord(sha256[COVER], ("hash",), sha256[SIGNATURE], REGENCY.key.sha256)]


@pytest.mark.parametrize("change", ["other", "none"])
def test_the_ledger_notices_another_signature(tmp_path: Path, change: str) -> None:
    """An accepted package whose signature was replaced or taken away is damaged."""
    hand_in(tmp_path, signed(REGENCY, "11", "111"))
    _, ledger = run(tmp_path)
    place = tmp_path / "ledger" / "packages" / ledger.packages[0].package / SIGNATURE
    place.write_bytes(STRANGER.sign(b"", SPACE)) if change == "other" else place.unlink()
    with pytest.raises(LedgerError, match=r"recap\.toml\.sig"):
        ledger.read(ledger.packages[0])


def test_a_clock_that_goes_back_takes_nothing_in(tmp_path: Path) -> None:
    """A signed package is not judged at a time before the last cut: an auditor could not follow."""
    hand_in(tmp_path, signed(REGENCY, "11", "111"))
    run(tmp_path)
    ledger = Ledger(tmp_path / "ledger")
    ledger.add_cut(msgspec.structs.replace(make_cuts(1)[0], time="2029-02-15T12:00:00Z"))
    hand_in(tmp_path, signed(REGENCY, "11", "777"))
    with pytest.raises(LedgerError, match="clock"):
        run(tmp_path, now=NOW - timedelta(seconds=1))
    assert len(run(tmp_path)[1].packages) == 2


def test_results_tell_who_signed(tmp_path: Path) -> None:
    """Sources and revisions name the official by area, key and signature, and the verifier finds each package with its signature there."""
    for revision, official in enumerate((REGENCY, PROVINCE, VILLAGE), 1):
        row = line(ELECTION, "111", "1", revision, votes_1=revision)
        made = make_package(
            ELECTION, row, area="111", reason="recount" if revision > 1 else None, note='"package":"{}"'
        )
        cover = msgspec.structs.replace(
            made.cover, attestation=Attestation("official", ("11", "1", "111")[revision - 1])
        )
        files = package_files(cover, made.rows)
        hand_in(tmp_path, {**files, SIGNATURE: official.sign(files[COVER], SPACE)})
        report, ledger = run(tmp_path)
        assert report.refused == {}
    _, second, third = ledger.packages
    result = tally(load_rows(ledger, ELECTION, None)["ppwp"], ELECTION, make_cuts(3))

    def cover_of(number: int) -> tuple[PackageRecord, Cover]:
        record = ledger.packages[number - 1]
        return record, ledger.read_cover(record)

    views = Views(ELECTION, result, cover_of, [0, 1, 1, 1], lambda _: "2029-02-15T12:00:00Z")
    (view,) = views.views([ELECTION.areas.index["111"]])
    assert [(one["attestation"], one["by"], one["signature"]) for one in view["revisions"]] == [
        ("official", f"1 {PROVINCE.key.fingerprint}", second.signature),
        ("official", f"111 {VILLAGE.key.fingerprint}", third.signature),
    ]
    named = {(one.package.encode(), (one.signature or "").encode()) for one in ledger.packages}
    assert named_packages(encode_view(view)) == named
    scan = {"file": "111_1.png", "length": 1, "sha256": "0" * 64, "station": "1"}
    scans = [{**scan, "package": second.package}, {**scan, "package": "f" * 64}]
    assert named_packages(encode_view({**view, "scans": scans})) == named | {(b"f" * 64, b"")}
