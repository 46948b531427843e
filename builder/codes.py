"""A QR code as SVG, for paper: the way back from a printed page to its address and release."""

import io

import segno
from markupsafe import Markup

__all__ = ["qr_code"]

# Every mask can be read; weighing all eight takes five times as long, and there is a code for each of hundreds of pages.
_MASK = 3


def qr_code(text: str) -> Markup:
    """`text` as an inline SVG element of class `code`."""
    made = io.BytesIO()
    segno.make_qr(text, error="m", boost_error=False, mask=_MASK).save(
        made, kind="svg", xmldecl=False, svgns=False, omitsize=True, border=2, svgclass="code", lineclass=None, nl=False
    )
    return Markup(made.getvalue().decode())  # noqa: S704  # only modules of the code
