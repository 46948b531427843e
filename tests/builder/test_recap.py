"""A package from strangers' bytes: what cannot be unpacked, is too much or would be shown as something else is refused."""

import hashlib
import re
import signal
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder import limits
from builder.errors import PackageError
from builder.recap import parse_cover, read_package
from tests.builder.elections import line, make_package, small_election
from verifier.errors import FormatError
from verifier.packages import named_files

SMALL = small_election()
GOOD = make_package(SMALL, line(SMALL, "111", "7", votes_1=10))
COVER = GOOD.files["recap.toml"]
CENTRAL = b"PK\x01\x02"


def zipped(path: Path, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in GOOD.files.items():
            archive.writestr(name, data)
    return path


def stream(data: bytes) -> bytes:
    """The first member's packed bytes destroyed."""
    at = 30 + len("recap.toml")
    return data[:at] + b"\xff" * 4 + data[at + 4 :]


def method(number: int) -> Callable[[bytes], bytes]:
    """Both places of the first member say that it was packed by this method."""

    def change(data: bytes) -> bytes:
        at, packed = data.find(CENTRAL) + 10, struct.pack("<H", number)
        return data[:8] + packed + data[10:at] + packed + data[at + 2 :]

    return change


def beyond(data: bytes) -> bytes:
    """The list says that the first member lies at the file's last ten bytes."""
    at = data.find(CENTRAL) + 42
    return data[:at] + struct.pack("<L", len(data) - 10) + data[at + 4 :]


def encrypted(data: bytes) -> bytes:
    at = data.find(CENTRAL) + 8
    return data[:6] + b"\1\0" + data[8:at] + b"\1\0" + data[at + 2 :]


DAMAGED: dict[str, Callable[[bytes], bytes]] = {
    "deflate stream": stream,
    "bzip2": method(zipfile.ZIP_BZIP2),
    "LZMA": method(zipfile.ZIP_LZMA),
    "unknown method": method(99),
    "member beyond the end": beyond,
    "encrypted": encrypted,
    "list cut off": lambda data: data[:-30],
    "still being written": lambda data: data[:100],
    "nothing": lambda _: b"",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_zip(name: str, tmp_path: Path) -> None:
    """A zip that cannot be unpacked is a refusal, whatever the library raises."""
    path = zipped(tmp_path / "package.zip")
    path.write_bytes(DAMAGED[name](path.read_bytes()))
    with pytest.raises(PackageError) as caught:
        read_package(path)
    assert caught.value.rule == "zip"


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unlimited_packing(packing: int, tmp_path: Path) -> None:
    """A whole package packed by a method that unpacks all at once is refused too: its first bytes could be a bomb."""
    with pytest.raises(PackageError, match="use deflate"):
        read_package(zipped(tmp_path / "package.zip", packing))


def scans(*entries: tuple[str, int]) -> bytes:
    return COVER + b"".join(
        f'[[scans]]\nfile = "{name}"\nsha256 = "{hashlib.sha256().hexdigest()}"\nlength = {length}\n'.encode()
        for name, length in entries
    )


def test_a_zip_that_lists_too_much(tmp_path: Path) -> None:
    """A zip whose list of members alone would fill the memory is refused before it is read."""
    entry = struct.pack("<4s4B4HL2L5H2L", CENTRAL, 20, 3, 20, *[0] * 7, 1, *[0] * 7)[:46] + b"a"
    listed = entry * (limits.ARCHIVE_LIST // len(entry) + 1)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 65_535, 65_535, len(listed), 0, 0)
    (tmp_path / "many.zip").write_bytes(listed + end)
    with pytest.raises(PackageError, match="its list of members is longer") as caught:
        read_package(tmp_path / "many.zip")
    assert caught.value.rule == "zip"


def test_too_much_in_all(tmp_path: Path) -> None:
    """Scans that are each allowed but together too much are refused before one of them is read."""
    many = limits.PACKAGE_FILES // limits.SCAN_FILE + 1
    (tmp_path / "recap.toml").write_bytes(scans(*((f"{number}.png", limits.SCAN_FILE) for number in range(many))))
    with pytest.raises(PackageError) as caught:
        read_package(tmp_path)
    assert caught.value.rule == "size"


@pytest.mark.parametrize("name", ["form.html", "form.svg", "form.js", "form.png.html", "form", ".png", "form.toml"])
def test_file_that_browsers_run(name: str) -> None:
    """A package has figures and pictures of forms: no page, drawing or script, since its files are published as they came."""
    with pytest.raises(PackageError) as caught:
        parse_cover(scans((name, 0)), "recap.toml")
    assert (caught.value.rule, caught.value.field) == ("cover", "scans[0].file")


@pytest.mark.parametrize("name", ["form.png", "Scan-0001.JPG", "a.jpeg", "a.pdf", "a.webp"])
def test_scan_of_a_form(name: str) -> None:
    """Pictures and PDF, with the endings that scanners and cameras give them, are taken."""
    assert parse_cover(scans((name, 0)), "recap.toml").scans[0].file == name


# Escape sequences begin with C1 codes too; the others break or turn a line.
UNSEEN = [*range(0x80, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A), 0x00, 0x1B, 0x7F]


@pytest.mark.parametrize("field", ["by", "document"])
@pytest.mark.parametrize("code", UNSEEN, ids=hex)
def test_unseen_characters(code: int, field: str) -> None:
    """A text of the cover that pages and terminals show has no character that hides or turns what stands beside it."""
    cover = re.sub(b'area = "0"\n', b'area = "0"\ndocument = "test"\n', COVER)
    text = cover.replace(f'{field} = "test"'.encode(), f'{field} = "PPK\\u{code:04x}8"'.encode())
    assert text != cover
    with pytest.raises(PackageError) as caught:
        parse_cover(text, "recap.toml")
    assert caught.value.rule == "cover"


@pytest.mark.parametrize(
    "text",
    [b"a=" + b"[" * 30_000, b"a=" + b"9" * 5_000 + b"\n", b"a=" + b"{b=" * 30_000, b"a." * 30_000 + b"b=1"],
    ids=["lists in lists", "integer of 5,000 digits", "tables in tables", "key of 30,000 parts"],
)
def test_cover_that_parsers_fall_over(text: bytes) -> None:
    """TOML that makes a reader run out of stack or refuse a number is a refusal."""
    with pytest.raises(PackageError):
        parse_cover(text[: limits.COVER_FILE], "recap.toml")


HUGE = (1 << 1_000_000) - 1


@pytest.mark.parametrize(
    "text",
    [
        b'"x\\u002e" = 1\n',
        b'"x\\u005b" = 1\n',
        b'"' + b"a" * 100_000 + b'\\u005b" = 1\n',
        b'"x - at `$.' + b"[" * 100_000 + b'" = 1\n',
        b"x = 1\n" + b" " * 200_000 + b"\n",
        b"[" + b"x" * 100_000 + b"]\n" + b"".join(b"a%d=1\n" % number for number in range(15_000)),
        f"election = 0x{HUGE:x}\n".encode(),
    ],
    ids=["key that ends with a dot", "key that ends with a bracket", "long key and bracket", "key like a place", "line of spaces", "keys below a long one", "number beyond decimals"],
)  # fmt: skip
def test_a_refusal_takes_no_time(text: bytes) -> None:
    """Looking for the line of what is wrong with a cover ends at once, whatever a stranger's keys look like."""
    with _seconds(30), pytest.raises(PackageError):
        parse_cover(text[: limits.COVER_FILE], "recap.toml")


@pytest.mark.parametrize(
    "key", ["a", '"a"', "'a'", r'"\""', " a "], ids=["bare", "quoted", "literal", "escape", "spaces"]
)
@pytest.mark.parametrize(
    "form", ["{}=1\n", "[{}]\n", "[[{}]]\n", "a=1\n\t{} = 1\n"], ids=["key", "table", "list", "second line"]
)
def test_deep_key(key: str, form: str) -> None:
    """A dotted key deeper than any of ours is refused before a reader keeps each of its beginnings: 32,000 bytes of one took 1 GB."""
    text = form.format(".".join([key] * (limits.TOML_KEY_PARTS_COUNT + 1))).encode()
    with pytest.raises(PackageError, match="a key of more than 16 parts"):
        parse_cover(text, "recap.toml")
    with pytest.raises(FormatError, match="a key of more than 16 parts"):
        list(named_files(text, ""))


@pytest.mark.parametrize(
    "kind", [f"0x{HUGE:x}", "{" + "a." * 50_000 + "a=1}"], ids=["number beyond decimals", "deep tables"]
)
def test_who_vouches_is_a_text(kind: str) -> None:
    """Clients refuse a cover whose attestation has a kind that cannot even be spelt."""
    with pytest.raises(FormatError, match="nobody vouches for it"):
        list(named_files(f"[attestation]\nkind = {kind}\n".encode(), "ab" * 32))


@contextmanager
def _seconds(most: int) -> Iterator[None]:
    """End what does not end by itself."""

    def end(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(most)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_link_to_a_package(tmp_path: Path) -> None:
    """A link that lies in the inbox is not followed, even to a whole package."""
    (tmp_path / "elsewhere").mkdir()
    for name, data in GOOD.files.items():
        (tmp_path / "elsewhere" / name).write_bytes(data)
    (tmp_path / "package").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PackageError, match="is a link"):
        read_package(tmp_path / "package")
