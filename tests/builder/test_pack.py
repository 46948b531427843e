"""Packs as another machine laid them out."""

from pathlib import Path

import pytest

from builder.errors import BuilderError
from builder.pack import read_pack

INDEXES = {
    "a length beyond the file": (b'[["a",99999999999999,"x"]]', b"abc"),
    "a length below nothing": (b'[["a",4,"x"],["b",-1,"x"]]', b"abc"),
    "less than the file has": (b'[["a",2,"x"]]', b"abc"),
    "no file": (b'[["a",1,"x"]]', None),
    "lists in lists": (b"[" * 100_000, b"abc"),
}


@pytest.mark.parametrize("name", INDEXES)
def test_an_index_that_is_not_that_of_its_files(name: str, tmp_path: Path) -> None:
    """A second signer refuses what a publisher's index says beyond its files, before any of it is read into memory."""
    index, data = INDEXES[name]
    (tmp_path / "site.index").write_bytes(index)
    if data is not None:
        (tmp_path / "site.pack").write_bytes(data)
    with pytest.raises(BuilderError):
        list(read_pack(tmp_path, "site"))
