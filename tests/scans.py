"""Scans for the tests: a small JPEG, and packages with scans and their thumbnails."""

import base64
import hashlib
from collections.abc import Mapping

from builder.recap import COVER
from builder.thumbnails import SUFFIX, make_thumbnail

__all__ = ["JPEG", "THUMBNAIL", "with_scans"]

JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDACgcHiMeGSgjISMtKygwPGRBPDc3PHtYXUlkkYCZlo+AjIqgtObDoKrarYqMyP/L2u71////m8H////6"
    "/+b9//j/2wBDASstLTw1PHZBQXb4pYyl+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj/wAARCABAADAD"
    "ASIAAhEBAxEB/8QAFwABAQEBAAAAAAAAAAAAAAAAAAUEAv/EACoQAAIBAwIEBAcAAAAAAAAAAAABAwIEEQUSFUFTYTGisdEyNVFxgpGy/8QAFAEB"
    "AAAAAAAAAAAAAAAAAAAAAP/EABQRAQAAAAAAAAAAAAAAAAAAAAD/2gAMAwEAAhEDEQA/ALIBBtIbR2sbktJpa2nVVVRnHi19ewF4GCHTbGaKmRW7"
    "SqWUnU8+p3wmy6Hnq9wNgJOpafawWMkkUW2unGHub5ruVgBJtKs6XbQU/HM6qftTl5f69SsSdN1C1gsY45ZdtdOcra3zfYCskkkksJAx8Wsuv5Kv"
    "YcWsuv5KvYBq/wAsm/H+kbCTqWoWs9jJHFLurqxhbWua7FYAAAAAAAAAAAAAAAAD/9k="
)
THUMBNAIL = make_thumbnail("c1.jpg", JPEG) or b""


def with_scans(
    files: Mapping[str, bytes], *names: str, scan: bytes = JPEG, thumbnail: bytes = THUMBNAIL
) -> dict[str, bytes]:
    """A package's files with a scan of each name and its thumbnail."""
    more = dict.fromkeys(names, scan) | {f"{name}{SUFFIX}": thumbnail for name in names}
    entries = (
        f'[[scans]]\nfile = "{name}"\nsha256 = "{hashlib.sha256(data).hexdigest()}"\nlength = {len(data)}\n'
        for name, data in more.items()
    )
    return {**files, COVER: files[COVER] + "".join(entries).encode(), **more}
