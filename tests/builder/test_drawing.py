"""Drawing: the renderer and the fonts that it is given."""

import struct
import sys
from pathlib import Path

import pytest

from builder.cards import draw
from builder.drawing import drawn, own_fonts, packaged_font
from builder.errors import ContentError
from builder.pages import Pages
from builder.site import Inputs
from builder.templates import read_templates
from builder.thumbnails import make_thumbnail
from tests.builder.sample_results import election, nation
from tests.builder.test_pages import TEMPLATES

FONT = packaged_font().read_bytes()
TABLES = struct.unpack_from(">H", FONT, 4)[0]


def collection(fonts: int, first: int) -> bytes:
    return struct.pack(">4sIII", b"ttcf", 0x10000, fonts, first)


BROKEN = {
    "no font": ("aksara.ttf", b"<!doctype html><title>404</title>", "is no font"),
    "empty": ("aksara.ttf", b"", "is no font"),
    "for the web": ("aksara.ttf", b"wOF2" + FONT[4:], "is no font"),
    "by another name": ("aksara.woff2", FONT, "is not named as a font is"),
    "cut in its first lines": ("aksara.otf", FONT[:20], "ends too early"),
    "cut off": ("aksara.otf", FONT[:-100], "ends too early"),
    "without a name": ("aksara.ttf", FONT.replace(b"name", b"nama", 1), "without the tables name"),
    "no tables": ("aksara.ttf", FONT[:4] + bytes(8), "without the tables cmap, head, hhea, hmtx, maxp, name"),
    "collection of nothing": ("aksara.ttc", collection(1, 0xFFFFFFFF), "is no font"),
    "collection cut off": ("aksara.ttc", b"ttcf", "ends too early"),
}


@pytest.mark.parametrize(("name", "data", "told"), BROKEN.values(), ids=BROKEN)
def test_broken_font(tmp_path: Path, name: str, data: bytes, told: str) -> None:
    """A file among the templates' fonts that the renderer would pass over in silence is refused, with its name and what to do."""
    (tmp_path / "fonts").mkdir()
    (tmp_path / "fonts" / name).write_bytes(data)
    with pytest.raises(ContentError, match=rf"fonts/{name}: .*{told}.*; put the font as TrueType or OpenType"):
        own_fonts(tmp_path, [f"fonts/{name}"])


def test_own_fonts(tmp_path: Path) -> None:
    """A font beside its licence is taken, alone or in a collection, and letters are drawn with it."""
    (tmp_path / "fonts").mkdir()
    start = len(collection(1, 0))
    records = [struct.unpack_from(">4sIII", FONT, 12 + 16 * place) for place in range(TABLES)]
    moved = b"".join(struct.pack(">4sIII", tag, check, offset + start, size) for tag, check, offset, size in records)
    files = {
        "aksara.ttf": FONT,
        "AKSARA.TTC": collection(1, start) + FONT[:12] + moved + FONT[12 + 16 * TABLES :],
        "OFL.txt": b"SIL Open Font License",
    }
    for name, data in files.items():
        (tmp_path / "fonts" / name).write_bytes(data)
    fonts = own_fonts(tmp_path, [*(f"fonts/{name}" for name in files), "card.svg", "assets/terbit.css"])
    assert [font.name for font in fonts] == ["aksara.ttf", "AKSARA.TTC"]
    svg = Pages(read_templates(TEMPLATES), election()).card(nation())
    assert len({draw(svg, [font]) for font in (*fonts, packaged_font())}) == 1
    assert draw(svg, fonts) != draw(svg, ())


def test_fonts_are_looked_at_where_there_are_cards(tmp_path: Path) -> None:
    """A site with cards is not made with a broken font; one without cards has no use for it."""
    (tmp_path / "fonts").mkdir()
    (tmp_path / "fonts" / "aksara.ttf").write_bytes(b"")

    class Given(Inputs):
        definition = type("Definition", (), {"election": election()})

    assert Given(tmp_path, tmp_path).fonts == ()
    Given.definition.election = election(address="https://hasil.example.org/contoh/")
    with pytest.raises(ContentError, match=r"aksara\.ttf: is no font"):
        _ = Given(tmp_path, tmp_path).fonts


def test_without_the_renderer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the renderer is missing, cards and thumbnails say which package it is and how it comes back."""
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    told = r"resvg-py.* cannot be used here .*; install terbit again"
    with pytest.raises(ContentError, match=told):
        draw(b"<svg/>", ())
    with pytest.raises(ContentError, match=told):
        make_thumbnail("C1.png", b"")


def test_no_system_fonts() -> None:
    """No font of the machine is drawn with: a text without a named one leaves no mark."""
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="30" height="30">{}</svg>'
    assert drawn(svg.format('<text y="20">A</text>')) == drawn(svg.format(""))
