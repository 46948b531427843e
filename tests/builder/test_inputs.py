"""Archives of inputs: one for each set of files, recomputable by anyone, and nothing else in them."""

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder import inputs, limits
from builder.errors import ContentError
from builder.hashing import input_hash
from builder.inputs import read_archive, write_archive
from builder.site import Inputs
from tests.election import write_definition

FILES = {"id/tentang.md": b"# Tentang\n", "en/a.md": b"# A\n", "id/\u00e9.md": b""}
NAMES = st.text("abc\u00e9._- ", min_size=1, max_size=30).filter(lambda name: not name.startswith("."))


@given(st.dictionaries(NAMES, st.binary(max_size=600), max_size=8))
def test_round_trip(files: dict[str, bytes]) -> None:
    """An archive gives back the files that it was made of, in whatever order they came."""
    data = write_archive(files)
    assert write_archive(dict(reversed(files.items()))) == data
    assert read_archive(data, input_hash(files), "x") == files


def test_anyone_recomputes_the_hash(tmp_path: Path) -> None:
    """Stock tar and sha256sum say the hash that names the archive again."""
    (tmp_path / "x.tar").write_bytes(write_archive(FILES))
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-xf", "../x.tar"], cwd=tmp_path / "out", check=True)
    told = subprocess.run(
        "find * -type f | LC_ALL=C sort | xargs sha256sum | sha256sum",
        shell=True, cwd=tmp_path / "out", check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert told.stdout.split()[0] == input_hash(FILES)


def _other(change: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(
        fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT if change == "pax" else tarfile.USTAR_FORMAT
    ) as archive:
        for name, data in sorted(FILES.items(), reverse=change == "order"):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            member.mtime = 1 if change == "time" else 0
            if change == "pax":
                member.pax_headers = {"comment": "hidden"}
            archive.addfile(member, io.BytesIO(data))
        if change in {"link", "folder"}:
            member = tarfile.TarInfo("id/secret")
            member.type, member.linkname = (
                (tarfile.SYMTYPE, "/etc/passwd") if change == "link" else (tarfile.DIRTYPE, "")
            )
            archive.addfile(member)
    return buffer.getvalue() + (b"more" if change == "tail" else b"")


@pytest.mark.parametrize("change", ["order", "time", "pax", "link", "folder", "tail"])
def test_another_archive_of_the_same_files_is_refused(change: str) -> None:
    """There is one archive of some files, and nothing hides in it."""
    with pytest.raises(ContentError):
        read_archive(_other(change), input_hash(FILES), "x")


@pytest.mark.parametrize(
    "data", [b"", b"x" * 512, b"\0" * 10_240, write_archive(FILES)[:-1], write_archive(FILES)[:700]], ids=range(5)
)
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    """Damaged archives raise our own error."""
    with pytest.raises(ContentError):
        read_archive(data, input_hash(FILES), "x")


@pytest.mark.parametrize("name", ["../x", "/x", "a//b", "a/../b", "x" * 300, "a/.git"])
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    """No name leaves the folder into which somebody unpacks an archive."""
    with pytest.raises(ContentError):
        write_archive({name: b""})


@pytest.mark.parametrize("files", [{"a": b"", "a/b": b""}, {"a/b": b"", "a/b/c/d": b""}, {"a/b/c": b"", "a": b""}])
def test_names_that_collide_are_refused(files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file has the name of another one's folder nobody can unpack both: such an archive is neither made nor read."""
    with pytest.raises(ContentError, match="folder"):
        write_archive(files)
    with monkeypatch.context() as careless:
        careless.setattr(inputs, "_check_name", lambda name, files: None)
        data = write_archive(files)
    with pytest.raises(ContentError, match="folder"):
        read_archive(data, input_hash(files), "x")


def test_a_name_that_is_no_text_is_refused() -> None:
    """Bytes that are no UTF-8 make no name."""
    data = write_archive({"abc": b""}).replace(b"abc", b"ab\xff")
    checksum = sum(data[:148]) + sum(data[156:512]) + 8 * ord(" ")
    data = data[:148] + b"%06o\0 " % checksum + data[156:]
    with pytest.raises(ContentError, match="can't decode"):
        read_archive(data, input_hash({"abc": b""}), "x")


def _header(name: str, kind: bytes, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.size, member.mode = kind, size, 0o644
    return member.tobuf(tarfile.USTAR_FORMAT)


def _extended(name: str, told: bytes, data: bytes) -> bytes:
    """A file with an extended header before it."""
    more = _header("x", tarfile.XHDTYPE, len(told)) + told + bytes(-len(told) % 512)
    return more + _header(name, tarfile.REGTYPE, len(data)) + data + bytes(-len(data) % 512)


def _sparse(count: int, size: int) -> bytes:
    """Files of a block each that say they are `size` bytes long, as GNU tar writes what is nothing but holes."""
    told = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n25 GNU.sparse.name=%05d\n32 GNU.sparse.realsize=%07d\n"
    return b"".join(_extended("a", told % (number, size), b"1\n%d\n0\n" % size) for number in range(count))


HOSTILE = {
    "digits without end": _extended("a", b"1" * 1_000_000, b""),
    "holes": _sparse(2_000, 4_000_000),
    "a length below nothing": _header("a", tarfile.REGTYPE, 0).replace(b"00000000000\0", b"-0000001000\0", 1),
    "a length beyond the end": _header("a", tarfile.REGTYPE, 0o77777777777),
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_hostile_archive_takes_little(tmp_path: Path, attack: str) -> None:
    """An auditor reads what the publisher wrote: no archive takes more time and memory than its length is worth."""
    (tmp_path / "x.tar").write_bytes(HOSTILE[attack] + bytes(1_024))
    program = (
        "import resource, sys; from pathlib import Path; from builder.inputs import read_archive; from builder.errors import ContentError\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (20, 20)); resource.setrlimit(resource.RLIMIT_DATA, (10**9, 10**9))\n"
        "try: read_archive(Path(sys.argv[1]).read_bytes(), '0' * 64, 'x')\n"
        "except ContentError: print('refused')\n"
    )
    words = [sys.executable, "-c", program, str(tmp_path / "x.tar")]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "refused\n"), done.stderr


def test_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inputs have a cap, since every release that names them publishes them."""
    monkeypatch.setattr(limits, "INPUTS_ARCHIVE", 10)
    with pytest.raises(ContentError, match="at most"):
        write_archive(FILES)


def test_only_inputs_are_inputs(tmp_path: Path) -> None:
    """What an editor leaves beside the pages is neither hashed nor published, and a link is refused."""
    write_definition(tmp_path)
    before = Inputs(tmp_path, tmp_path / "templates")
    (tmp_path / "pages" / "rahasia.txt").write_text("secret")
    (tmp_path / "pages" / "id" / "scan.jpg").write_bytes(b"scan")
    (tmp_path / "pages" / "id" / ".tentang.md.swp").write_bytes(b"secret")
    after = Inputs(tmp_path, tmp_path / "templates")
    assert list(after.content_files) == ["id/tentang.md"]
    assert after.hashes() == before.hashes()
    (tmp_path / "pages" / "id" / "lain.md").symlink_to("/etc/passwd")
    with pytest.raises(ContentError, match="link"):
        _ = Inputs(tmp_path, tmp_path / "templates").content_files
