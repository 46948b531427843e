"""An SVG as PNG, by one pinned renderer and with fonts that are named: never with those of the system, so that a picture comes out the same on every machine.

docs/formats.md, "Cards". The renderer takes a font that it cannot read without a word, and draws without it: so whether a file is one is looked at here.
"""

import struct
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from builder.errors import ContentError

__all__ = ["FONTS", "check_renderer", "drawn", "own_fonts", "packaged_font"]

FONTS = "fonts/"  # in the templates
_PACKAGED = "SourceSansPro-Semibold.ttf"
_KINDS, _TEXTS = (".ttf", ".otf", ".ttc"), (".txt", ".md")
_COLLECTION, _STARTS = b"ttcf", (b"\x00\x01\x00\x00", b"OTTO", b"true")
# Without one of these tables, OpenType 1.9 ("Required Tables"), no letter is found, placed or told by its family.
_TABLES = frozenset([b"cmap", b"head", b"hhea", b"hmtx", b"maxp", b"name"])


def drawn(svg: str, fonts: Sequence[Path] = ()) -> bytes:
    """The picture of an SVG.

    Raises:
        ContentError: the renderer is not there.
        ValueError: it is no SVG.
    """
    check_renderer()
    import resvg_py

    return resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True, font_files=[str(font) for font in fonts])


def check_renderer() -> None:
    """ContentError if there is no renderer."""
    try:
        import resvg_py  # noqa: F401
    except ImportError as error:
        problem = f"resvg-py, which draws cards and thumbnails, cannot be used here ({error}); install terbit again, with what it depends on"
        raise ContentError(problem, rule="installation") from error


@cache
def packaged_font() -> Path:
    """The font that comes with the program: Latin letters with any diacritics, Greek, Cyrillic."""
    spec = find_spec("font_source_sans_pro")
    if spec is None or not spec.submodule_search_locations:
        problem = "font-source-sans-pro, the letters of cards, did not come with this installation; install terbit again, with what it depends on"
        raise ContentError(problem, rule="installation")
    return Path(next(iter(spec.submodule_search_locations)), "files", _PACKAGED)


def own_fonts(directory: Path, names: Iterable[str]) -> tuple[Path, ...]:
    """The fonts among the templates' files. `names`: their paths in `directory`. Texts, such as a font's licence, may lie beside them.

    Raises:
        ContentError: a file there is no font, or none that the renderer could read.
    """
    files = [directory / name for name in names if name.startswith(FONTS) and not name.lower().endswith(_TEXTS)]
    for file in files:
        if problem := _font_problem(file):
            mend = "put the font as TrueType or OpenType there (.ttf, .otf, .ttc), or take the file away"
            raise ContentError(f"{problem}; {mend}", file=file, rule="font")
    return tuple(files)


def _font_problem(file: Path) -> str:
    """Why a file is no font that can be drawn with; "" if it is one."""
    if not file.name.lower().endswith(_KINDS):
        return "is not named as a font is"
    data = file.read_bytes()
    try:
        start = struct.unpack_from(">I", data, 12)[0] if data.startswith(_COLLECTION) else 0
        if data[start : start + 4] not in _STARTS:
            return "is no font"
        (count,) = struct.unpack_from(">H", data, start + 4)
        tables = [struct.unpack_from(">4s4xII", data, start + 12 + 16 * place) for place in range(count)]
    except struct.error:
        return "is a font that ends too early"
    if any(offset + length > len(data) for _, offset, length in tables):
        return "is a font that ends too early"
    missing = sorted(name.decode() for name in _TABLES - {name for name, *_ in tables})
    return f"is a font without the tables {', '.join(missing)}" if missing else ""
