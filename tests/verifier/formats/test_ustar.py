"""Archives: the same files give the same bytes, every tar reads them, and nothing else passes for one."""

import io
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.programs import require
from verifier import limits
from verifier.archive import ArchiveFetcher
from verifier.errors import FormatError, VerificationError
from verifier.fetcher import MissingError
from verifier.formats import ustar

FILES = [
    ("a.json", b"{}"),
    ("b/" + "c" * 100, bytes(512)),
    ("packages/" + "d" * 64 + "/" + "e" * 90, b"x" * 513),
    ("targets/inputs/" + "f" * 140, b"long"),
    ("targets/é.html", b""),
]
segments = st.text(
    st.characters(codec="utf-8", exclude_characters="/\\?#", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=60
)
paths = st.lists(segments.filter(lambda one: one not in {".", ".."}), min_size=1, max_size=4).map("/".join)


def archive(files: list[tuple[str, bytes]]) -> bytes:
    return b"".join(ustar.encode(files))


def entries(data: bytes) -> list[tuple[str, bytes]]:
    found = ustar.entries(lambda offset, length: data[offset : offset + length], len(data))
    return [(path, data[offset : offset + length]) for path, offset, length in found]


@given(st.dictionaries(paths, st.binary(max_size=1200), max_size=8))
def test_round_trip(files: dict[str, bytes]) -> None:
    """What is written is read again, and Python's tarfile reads the same."""
    ordered = sorted(files.items(), key=lambda item: item[0].encode())
    data = archive(ordered)
    assert entries(data) == ordered
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = [(one.name, tar.extractfile(one)) for one in tar]
    assert [name for name, _ in members] == [path for path, _ in ordered]


def test_bytes_are_those_of_tarfile() -> None:
    """Python's tarfile writes the same bytes, but for the zeros with which it fills its last record."""
    for format_, files in ((tarfile.USTAR_FORMAT, FILES[:3]), (tarfile.PAX_FORMAT, FILES[3:4])):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=format_) as tar:
            for path, data in files:
                member = tarfile.TarInfo(path)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        assert out.getvalue().rstrip(b"\0") == archive(files).rstrip(b"\0")


def test_tar_reads_it(tmp_path: Path) -> None:
    """The system's tar unpacks an archive to the same files."""
    tar = require("tar")
    (tmp_path / "x.tar").write_bytes(archive(FILES))
    subprocess.run([tar, "xf", "x.tar"], cwd=tmp_path, check=True)
    assert {path: (tmp_path / path).read_bytes() for path, _ in FILES} == dict(FILES)


def swapped(data: bytes, old: bytes, new: bytes) -> bytes:
    """`old` replaced in the first header, its checksum made right."""
    block = data[:512].replace(old, new, 1)
    total = sum(block[:148]) + 8 * 32 + sum(block[156:])
    return block[:148] + b"%06o\0 " % total + block[156:] + data[512:]


def tarred(change: Callable[[tarfile.TarInfo], None]) -> bytes:
    """A tar of one member, as Python writes it, cut to our end."""
    out = io.BytesIO()
    member = tarfile.TarInfo("a.json")
    change(member)
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        tar.addfile(member, io.BytesIO(bytes(member.size)))
    return out.getvalue()[: 512 + member.size + -member.size % 512] + ustar.END


def typed(kind: bytes) -> bytes:
    def change(member: tarfile.TarInfo) -> None:
        member.type, member.linkname = kind, "/etc/passwd" if kind in {tarfile.SYMTYPE, tarfile.LNKTYPE} else ""

    return tarred(change)


WHOLE = archive([("a.json", b"{}"), ("b.json", b"[]")])
HOSTILE = {
    "empty file": b"",
    "no end": WHOLE[:-1024],
    "half an end": WHOLE[:-512],
    "cut within a file": WHOLE[:1000],
    "cut within a header": WHOLE[:1300],
    "goes on": WHOLE + b"x",
    "goes on with zeros": WHOLE + bytes(512),
    "no zeros after a file": WHOLE[:600] + b"x" + WHOLE[601:],
    "wrong checksum": WHOLE[:148] + b"000000" + WHOLE[154:],
    "twice": archive([("a.json", b"{}"), ("a.json", b"{}")]),
    "wrong order": archive([("b.json", b""), ("a.json", b"")]),
    "absolute": archive([("/a.json", b"")]),
    "dots": archive([("../a.json", b"")]),
    "dots within": archive([("a/../../b", b"")]),
    "dot": archive([("./a.json", b"")]),
    "empty segment": archive([("a//b", b"")]),
    "backslash": archive([("a\\b", b"")]),
    "control character": archive([("a\nb", b"")]),
    "not UTF-8": swapped(WHOLE, b"a.json", b"\xff.json"),
    "dots in a long name": archive([("../" + "x" * 120, b"")]),
    "long name that need not be": b"".join(
        (
            ustar._block(ustar.PAX_NAME, b"", 15, b"x"),
            b"15 path=a.json\n",
            bytes(497),
            ustar.header("a.json", 0),
            ustar.END,
        )
    ),
    "symbolic link": typed(tarfile.SYMTYPE),
    "hard link": typed(tarfile.LNKTYPE),
    "folder": typed(tarfile.DIRTYPE),
    "device": typed(tarfile.CHRTYPE),
    "pipe": typed(tarfile.FIFOTYPE),
    "sparse file": typed(tarfile.GNUTYPE_SPARSE),
    "GNU long name": typed(tarfile.GNUTYPE_LONGNAME),
    "owner": swapped(WHOLE, b"0000000\0", b"0000001\0"),
    "mode": swapped(WHOLE, b"0000644", b"0004755"),
    "time": tarred(lambda member: setattr(member, "mtime", 1)),
    "size beyond the end": swapped(WHOLE, b"00000000002", b"77777777777"),
    "negative size": swapped(WHOLE, b"00000000002", b"-0000000002"),
    "size in base 256": swapped(WHOLE, b"00000000002\0", b"\x80" + bytes(10) + b"\x02"),
    "compressed": b"\x1f\x8b" + WHOLE[2:],
    "GNU format": WHOLE.replace(b"ustar\x0000", b"ustar  \0"),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_archives(data: bytes, tmp_path: Path) -> None:
    """Whatever is not byte for byte what we would write is refused before anything of it is used."""
    with pytest.raises(FormatError):
        entries(data)
    (tmp_path / "x.tar").write_bytes(data)
    with pytest.raises(FormatError):
        ArchiveFetcher(tmp_path / "x.tar").fetch("a.json", 10)


@pytest.mark.parametrize("length", range(0, len(WHOLE), 100))
def test_a_cut_off_archive_says_what_to_do(length: int) -> None:
    """Wherever a copy was broken off, the message asks for another copy."""
    with pytest.raises(FormatError, match="copy it again"):
        entries(WHOLE[:length])


def test_too_many_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive of countless empty files fills no memory."""
    monkeypatch.setattr(limits, "ARCHIVE_FILES_COUNT", 3)
    with pytest.raises(FormatError, match="more than 3 files"):
        entries(archive([(str(number), b"") for number in range(4)]))


def test_an_archive_as_a_place(tmp_path: Path) -> None:
    """Files are read by name, up to their cap; other names are missing, and a bundle is one folder."""
    (tmp_path / "x.tar").write_bytes(archive([("uji/a.json", b"{}"), ("uji/b/c.json", b"[1]")]))
    whole, inside = ArchiveFetcher(tmp_path / "x.tar"), ArchiveFetcher(tmp_path / "x.tar", in_folder=True)
    assert (whole.fetch("uji/a.json", 2), inside.fetch("b/c.json", 3), inside.folder) == (b"{}", b"[1]", "uji")
    with pytest.raises(VerificationError, match="longer than the 1 bytes"):
        inside.fetch("a.json", 1)
    with pytest.raises(MissingError):
        inside.fetch("c.json", 1)
    (tmp_path / "y.tar").write_bytes(archive([("a/x", b""), ("b/x", b"")]))
    with pytest.raises(FormatError, match="folder of one election"):
        ArchiveFetcher(tmp_path / "y.tar", in_folder=True).check()
