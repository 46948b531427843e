"""allowed_signers: which key speaks for which area at what time, as OpenSSH reads the same file."""

import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.officials import Official
from tests.verifier.formats.test_sshsig import COVER, SPACE, keygen
from verifier import limits
from verifier.errors import FormatError
from verifier.formats.allowed_signers import AllowedSigner, AllowedSigners
from verifier.formats.sshsig import ED25519, SshKey
from verifier.officials import check_signature, parse_allowed_signers

ACEH, KAIRO = Official("Aceh"), Official("Kairo", hardware=True)
TERM = ',valid-after="20290201000000Z",valid-before="20290331235959Z"'
FILE = (
    "# Provinsi Aceh\n\n" + ACEH.line("1101,1102", "uji", TERM) + KAIRO.line("-99", "uji") + ACEH.line("1201", "lain")
)
IN_OFFICE, OUT_OF_OFFICE = "20290214120000Z", "20290401000000Z"
CASES = {
    "in office": (ACEH, SPACE, COVER, "1101", IN_OFFICE, None),
    "his other area": (ACEH, SPACE, COVER, "1102", IN_OFFICE, None),
    "first second": (ACEH, SPACE, COVER, "1101", "20290201000000Z", None),
    "last second": (ACEH, SPACE, COVER, "1101", "20290331235959Z", None),
    "hardware key abroad": (KAIRO, SPACE, COVER, "-99", OUT_OF_OFFICE, None),
    "a second too early": (ACEH, SPACE, COVER, "1101", "20290131235959Z", "signature-expired"),
    "a second too late": (ACEH, SPACE, COVER, "1101", "20290401000000Z", "signature-expired"),
    "another's area": (ACEH, SPACE, COVER, "-99", IN_OFFICE, "signature-unknown"),
    "code that begins alike": (ACEH, SPACE, COVER, "110", IN_OFFICE, "signature-unknown"),
    "area of another namespace": (ACEH, SPACE, COVER, "1201", IN_OFFICE, "signature-unknown"),
    "stranger": (Official("siapa"), SPACE, COVER, "1101", IN_OFFICE, "signature-unknown"),
    "the same key as hardware": (Official("Aceh", hardware=True), SPACE, COVER, "1101", IN_OFFICE, "signature-unknown"),
    "signed for another election": (ACEH, "terbit-recap@lain", COVER, "1101", IN_OFFICE, "signature-bad"),
    "signed for another purpose": (ACEH, "file", COVER, "1101", IN_OFFICE, "signature-bad"),
    "another cover": (ACEH, SPACE, COVER + b"#", "1101", IN_OFFICE, "signature-bad"),
}


@pytest.mark.parametrize(("official", "space", "signed", "area", "time", "rule"), CASES.values(), ids=CASES)
def test_signatures_count_where_openssh_says_so(
    tmp_path: Path, official: Official, space: str, signed: bytes, area: str, time: str, rule: str | None
) -> None:
    """THREATS 17: a signature counts by key, area, namespace and time exactly where ssh-keygen -Y verify takes it."""
    signature = official.sign(signed, space)
    when = datetime.strptime(time, "%Y%m%d%H%M%S%z")
    found = check_signature(
        COVER, signature, "uji", area, allowed=AllowedSigners.parse(FILE.encode()), time=when
    )  # fmt: skip
    assert found.rule == rule
    assert found.signer == (official.key.sha256 if official in (ACEH, KAIRO) and rule != "signature-bad" else None)
    (tmp_path / "sig").write_bytes(signature)
    (tmp_path / "allowed").write_text(FILE)
    theirs = keygen(
        "-Y", "verify", "-f", tmp_path / "allowed", "-I", area, "-n", SPACE, "-s", tmp_path / "sig",
        "-O", f"verify-time={time}", stdin=COVER, code=None,
    )  # fmt: skip
    assert (theirs.returncode == 0) == (rule is None), theirs.stderr


KEY = f"{ED25519} {ACEH.key.text}"
SPACES = f'namespaces="{SPACE}"'
MALFORMED = {
    "no namespaces": f"1101 {KEY}",
    "wildcard": f"11* {SPACES} {KEY}",
    "negated": f"!1101 {SPACES} {KEY}",
    "capitals": f"ACEH {SPACES} {KEY}",
    "mail address": f"kpu@example.org {SPACES} {KEY}",
    "area twice": f"1101,1101 {SPACES} {KEY}",
    "empty area": f"1101, {SPACES} {KEY}",
    "too many areas": f"{','.join(map(str, range(65)))} {SPACES} {KEY}",
    "quoted principal": f'"1101" {SPACES} {KEY}',
    "space at the begin": f" 1101 {SPACES} {KEY}",
    "two spaces": f"1101  {SPACES} {KEY}",
    "a space at the end": f"1101 {SPACES} {KEY} ",
    "wildcard namespace": f'1101 namespaces="terbit-*" {KEY}',
    "empty namespace": f'1101 namespaces="" {KEY}',
    "certificate authority": f"1101 cert-authority,{SPACES} {KEY}",
    "another order": f'1101 valid-after="20290201000000Z",{SPACES} {KEY}',
    "option twice": f"1101 {SPACES},{SPACES} {KEY}",
    "unknown option": f'1101 {SPACES},no-touch-required="1" {KEY}',
    "unquoted": f"1101 namespaces={SPACE} {KEY}",
    "local time": f'1101 {SPACES},valid-after="20290201000000" {KEY}',
    "a day alone": f'1101 {SPACES},valid-after="20290201Z" {KEY}',
    "24 o'clock": f'1101 {SPACES},valid-after="20290201240000Z" {KEY}',
    "no such day": f'1101 {SPACES},valid-after="20290230000000Z" {KEY}',
    "year 29": f'1101 {SPACES},valid-after="00290201000000Z" {KEY}',
    "never valid": f'1101 {SPACES},valid-after="20290302000000Z",valid-before="20290301000000Z" {KEY}',
    "type of another key": f"1101 {SPACES} ssh-rsa {ACEH.key.text}",
    "not base64": f"1101 {SPACES} {ED25519} {ACEH.key.text[:-1]}!",
    "cut off": f"1101 {SPACES} {ED25519} {ACEH.key.text[:-4]}",
    "no key": f"1101 {SPACES} {ED25519}",
    "stands twice": ACEH.line("1", "uji")[:-1],
    "tab": f"1101\t{SPACES} {KEY}",
}


@pytest.mark.parametrize("line", MALFORMED.values(), ids=MALFORMED)
def test_malformed_lines_are_refused(line: str) -> None:
    """A line that is not spelt as the format says, or could never count, is refused, and none is passed over."""
    with pytest.raises(FormatError):
        parse_allowed_signers(f"{ACEH.line('1', 'uji')}# petugas\n{line}\n".encode(), "uji")


def test_the_line_is_named() -> None:
    """What is wrong with a line is told with its number in the file, comments counted."""
    with pytest.raises(FormatError, match="allowed_signers, line 3: principals"):
        AllowedSigners.parse(f"# petugas\n\n11* {SPACES} {KEY}\n".encode())


@pytest.mark.parametrize(
    "data",
    [b"1101", ACEH.line("1", "uji").encode()[:-1], b"#" * limits.ALLOWED_SIGNERS_FILE + b"\n", b"\xff\n", b"#\r\n"],
    ids=["no LF", "cut off", "too big", "not UTF-8", "CR"],
)
def test_malformed_files_are_refused(data: bytes) -> None:
    """A file that is cut off, too big, or not text is refused."""
    with pytest.raises(FormatError):
        AllowedSigners.parse(data)


def test_a_line_for_another_election_is_refused() -> None:
    """An election's file has no line for another election or purpose."""
    with pytest.raises(FormatError, match="terbit-recap@uji"):
        parse_allowed_signers(ACEH.line("1101", "lain").encode(), "uji")


areas = st.lists(st.from_regex(r"-?[0-9a-z]{1,20}", fullmatch=True), min_size=1, max_size=5, unique=True).map(tuple)
namespaces = st.lists(st.from_regex(r"[0-9A-Za-z@._-]{1,20}", fullmatch=True), min_size=1, max_size=3).map(tuple)
times = st.integers(0, 2**33).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
terms = st.tuples(times, times).map(lambda bounds: (min(bounds), max(bounds)))
keys = st.builds(SshKey, st.just(ED25519), st.binary(min_size=32, max_size=32))
comments = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=20)
lines = st.builds(
    lambda areas, spaces, term, is_open, key, comment: AllowedSigner(
        areas, spaces, None if is_open[0] else term[0], None if is_open[1] else term[1], key, comment
    ),
    areas, namespaces, terms, st.tuples(st.booleans(), st.booleans()), keys, comments,
)  # fmt: skip


@given(st.lists(lines, max_size=4, unique=True).map(tuple))
def test_files_are_read_as_they_are_written(signers: tuple[AllowedSigner, ...]) -> None:
    """Any lines are read back as they are."""
    allowed = AllowedSigners(signers)
    assert AllowedSigners.parse(allowed.encode()) == allowed


def test_lines_of_one_key_are_found_at_once() -> None:
    """The lines of a key are put together in a step each: 40,000 took four seconds, and as many as the file holds took a minute."""

    def end(*_: object) -> None:
        raise TimeoutError

    lines = (AllowedSigner.parse(ACEH.line("1101", "uji").rstrip("\n")),) * 250_000
    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(30)
    try:
        assert AllowedSigners(lines).of_key(ACEH.key) == lines
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
