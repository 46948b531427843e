"""Thumbnails of scans: small grey pictures, handed in beside the scan that they show. docs/formats.md, "Thumbnails".

A thumbnail is a file of the package like its scan: the cover names it, so that whoever vouches for the one vouches for the other, and it is withheld like it. Neither publisher nor auditor
ever decodes a picture that strangers sent; whoever packs decodes his own. A browser does: so what is taken here is known to be small, whatever else is wrong with it.
"""

import base64
import struct

from builder import limits
from builder.drawing import drawn

__all__ = ["HEIGHT", "SUFFIX", "WIDTH", "is_thumbnail", "make_thumbnail", "may_have_thumbnail", "thumbnail_problem"]

SUFFIX = ".thumb.png"  # after the whole name of the scan
WIDTH, HEIGHT = 160, 224  # CSS pixels: paper of ISO 216, upright
_HEAD = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", WIDTH, HEIGHT)
_KINDS = {"jpg": "jpeg", "jpeg": "jpeg", "png": "png", "webp": "webp"}
_GREYS = " ".join(f"{step / 7:.3f}" for step in range(8))
_FILTER = f"""<filter id="grey" x="0" y="0" width="1" height="1" color-interpolation-filters="sRGB"><feColorMatrix type="saturate" values="0"/><feComponentTransfer>
{"".join(f'<feFunc{one} type="discrete" tableValues="{_GREYS}"/>' for one in "RGB")}</feComponentTransfer></filter>"""


# White paper on a white page has an edge.
_FRAME = f'<path fill="#999" fill-rule="evenodd" d="M0 0H{WIDTH}V{HEIGHT}H0zM1 1V{HEIGHT - 1}H{WIDTH - 1}V1z"/>'


def is_thumbnail(name: str) -> bool:
    """True for a file of a package that is named as a thumbnail is."""
    return name.endswith(SUFFIX)


def thumbnail_problem(data: bytes) -> str:
    """Why a file is no thumbnail; "" if it is one. The head of a PNG says how large a picture it is, and browsers go by it."""
    if len(data) > limits.THUMBNAIL_FILE:
        return f"has {len(data)} bytes; a thumbnail has at most {limits.THUMBNAIL_FILE}"
    return "" if data.startswith(_HEAD) else f"is no PNG of {WIDTH} × {HEIGHT} pixels, as a thumbnail is"


def may_have_thumbnail(name: str) -> bool:
    """True for a file that is a picture by its name, and no thumbnail."""
    return _kind(name) is not None and not is_thumbnail(name)


def make_thumbnail(name: str, scan: bytes) -> bytes | None:
    """The thumbnail of a scan of one's own; None where it is no picture that can be read, as a PDF is none, or shows nothing."""
    kind = _kind(name)
    if kind is None:
        return None
    # Halved again and again: taken down in one step, thin lines would be lost.
    for size in (4, 2):
        scan, kind = _drawn(_image(scan, kind, size), size), "png"
    made = _drawn(f"{_image(scan, kind, 1)}{_FRAME}", 1, _FILTER)
    return None if thumbnail_problem(made) or made == _drawn(_FRAME, 1, _FILTER) else made


def _kind(name: str) -> str | None:
    return _KINDS.get(name.rpartition(".")[2].lower())


def _image(data: bytes, kind: str, size: int) -> str:
    link = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return f'<image width="{WIDTH * size}" height="{HEIGHT * size}" href="{link}"/>'


def _drawn(pictures: str, size: int, filter_: str = "") -> bytes:
    """A picture on white paper, as PNG; what cannot be read leaves the paper white."""
    width, height, how = WIDTH * size, HEIGHT * size, 'filter="url(#grey)"' if filter_ else ""
    paper = f'<path fill="#fff" d="M0 0H{width}V{height}H0z"/>'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">{filter_}<g {how}>{paper}{pictures}</g></svg>'
    return drawn(svg)
