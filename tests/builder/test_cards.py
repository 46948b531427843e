"""Cards: the picture and the words of a link that is shared."""

import os
import re
import struct
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from msgspec.structs import replace

from builder.cards import card_path, draw, fitted, sharing
from builder.drawing import packaged_font
from builder.election import Election, Title
from builder.errors import ContentError
from builder.pages import Pages
from builder.templates import read_templates
from tests.builder.sample_results import contest, election, nation, province, village
from tests.builder.test_pages import GOLDEN, HOSTILE, RELEASED, TEMPLATES

SOURCES = read_templates(TEMPLATES)
FONT = (packaged_font(),)
ADDRESS = "https://hasil.example.org/contoh/"
LONG = "Prof. Dr. H. Muhammad Abdurrahman Wahyudi Kusumaningrat, S.H., M.Hum. – Ir. Siti Nurhaliza Rahmawati"


def votes(count: int) -> dict[str, Any]:
    """Results with `count` candidates, the last of whom leads."""
    series = {"status": "unofficial-partial", "votes": list(range(1, count + 1)), "fields": [None] * 4}
    return nation(count=series, recap=None, below=None, difference=None)


def card(results: dict[str, Any], of: Election | None = None) -> bytes:
    return Pages(SOURCES, of or election()).card(results)


def shape(svg: bytes) -> list[tuple[str, list[str]]]:
    """Elements with the names of their attributes."""
    return [(one.tag, sorted(one.attrib)) for one in ET.fromstring(svg).iter()]


def texts(svg: bytes) -> str:
    return "\n".join("".join(one.itertext()) for one in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"))


def test_golden() -> None:
    """A card has the very bytes of the one that was looked at, whatever the machine."""
    png = draw(card(nation(), election(test=True)), FONT)
    golden = GOLDEN / "card.png"
    if os.environ.get("TERBIT_UPDATE_GOLDEN"):
        golden.write_bytes(png)
    assert png == golden.read_bytes(), "look at the card, then run with TERBIT_UPDATE_GOLDEN=1"
    assert struct.unpack(">II", png[16:24]) == (600, 315)


def test_what_a_card_tells() -> None:
    """Area, contest, election, candidates with share and votes, status, stations, time with zone, release; a rehearsal says so."""
    told = texts(card(nation(), election(test=True)))
    for text in ("Pemilihan Contoh", "Negara Nusa Contoh", "Presiden dan Wakil Presiden", "Anwar Melati – Budi Kenanga", "55,27%", "84.298.880 suara",
                 "Belum resmi, belum lengkap · Hitungan", "806.583 dari 823.236 TPS · 11 Februari 2026 17.30 WIB", "Rilis 3", "UJI COBA"):  # fmt: skip
        assert text in told
    assert "UJI COBA" not in texts(card(nation()))


@pytest.mark.parametrize(("count", "shown", "more"), [(1, 1, ""), (3, 3, ""), (8, 8, ""), (24, 8, "dan 16 calon lain")])
def test_many_candidates(count: int, shown: int, more: str) -> None:
    """All are shown up to eight; of more, the eight who lead, and how many are left out."""
    told = texts(card(votes(count), election(contests=(contest(*(f"Partai {n:02d}" for n in range(1, count + 1))),))))
    assert re.findall(r"Partai (\d+)", told) == (
        [f"{n:02d}" for n in range(1, count + 1)] if count == shown else [f"{n:02d}" for n in range(24, 16, -1)]
    )
    assert more in told


@pytest.mark.parametrize(
    "name", [*HOSTILE.values(), "\x00\x1b[2J", "漢字 عربي", LONG], ids=[*HOSTILE, "control", "no glyphs", "long"]
)
def test_hostile_names_stay_text(name: str) -> None:
    """A name brings no element and no attribute into a card, nor turns the order of reading, and it is drawn."""
    area = {"code": "0", "name": name, "level": "negara", "kind": "domestic"}
    attacked = election(title=Title(id=name, en=name), contests=(contest(name, name),))
    svg = card(nation(area=area), attacked)
    assert shape(svg) == shape(card(nation()))
    assert not re.search("[\x00-\x08\x1b\u202e]", svg.decode())
    assert len(svg) < 5_000
    assert draw(svg, FONT).startswith(b"\x89PNG")
    description, _ = sharing_of(nation(area=area), attacked) or ("", "")
    assert "\u202e" not in description
    page = Pages(SOURCES, attacked).area_page(nation(area=area)).decode()
    assert len(re.findall("<meta ", page)) == len(
        re.findall("<meta ", Pages(SOURCES, election()).area_page(nation()).decode())
    )


REACHING = {
    "image": '<image href="/etc/hostname.png" width="9" height="9"/>',
    "image in another prefix": '<s:image xmlns:s="http://www.w3.org/2000/svg" href="/dev/zero"/>',
    "image of a filter": '<feImage href="/dev/zero"/>',
    "entity": '<!DOCTYPE svg [<!ENTITY a "aaaa">]><text>&a;</text>',
    "no svg": "<p>",
}


@pytest.mark.parametrize("inside", REACHING.values(), ids=REACHING)
def test_a_card_reaches_for_nothing(inside: str) -> None:
    """A template that would have a file opened, or something expanded, is refused, as is one that is no SVG."""
    sources = {**SOURCES, "card.svg": f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">{inside}</svg>'}
    with pytest.raises(ContentError, match=r"card\.svg"):
        draw(Pages(sources, election()).card(nation()), FONT)


def test_colours_are_those_of_the_pages() -> None:
    """A candidate's colour in a card is the one of the pages on light paper."""
    css = dict(re.findall(r"\.(c\d) \{ --c: (#\w+);", SOURCES["assets/terbit.css"].partition("@media")[0]))
    assert dict(re.findall(r"\.(c\d) \{ fill: (#\w+) \}", SOURCES["card.svg"])) == css


def test_fonts() -> None:
    """A card is drawn with the fonts that are named and no others: without any, there is no text and no failure."""
    svg = card(nation())
    assert draw(svg, FONT) != draw(svg, ())


@pytest.mark.parametrize(
    ("text", "width", "cut"),
    [("Aceh", 1000, "Aceh"), ("Kepulauan Riau", 100, "Kepul…"), ("漢" * 9, 100, "漢漢…"), ("a\u202eb\x1fc", 900, "abc"), ("A" * 10_000, 100, "AAAA…")],
)  # fmt: skip
def test_fitted(text: str, width: int, cut: str) -> None:
    """A text is cut to about its place, and what cannot be drawn is left out."""
    assert fitted(text, width, 28) == cut


def sharing_of(results: dict[str, Any], of: Election, language: str = "id") -> tuple[str, str] | None:
    pages = Pages(SOURCES, of, language)
    return sharing(results, pages._contests["ppwp"], of, pages.wording, language)


def test_description() -> None:
    """What is shared says who has which share, how much is in, and as of when; before the first votes, just that none is in."""
    told, image = sharing_of(nation(), election(), "en") or ("", "")
    assert image == ""
    assert told == (
        "1 Anwar Melati – Budi Kenanga 55.27%; 2 Citra Cempaka – Dedi Seroja 44.73%. Polling station forms in: 806,583 of 823,236. "
        "Count: Unofficial, incomplete. Figures as of 11 February 2026, 17:30 WIB, release 3."
    )
    nothing = {"status": "pre-election", "votes": [None, None], "fields": [None] * 4}
    told, _ = sharing_of(nation(count=nothing, below=None), election()) or ("", "")
    assert told.startswith("TPS masuk: ")


CARDS = {
    "left out": ({}, ("id",)),
    "left out, without an address": ({"address": None}, ()),
    "refused": ({"cards": False}, ()),
    "asked for": ({"cards": True}, ("id",)),
    "in English alone": ({"cards": ("en",)}, ("en",)),
    "in both languages": ({"cards": ("id", "en")}, ("id", "en")),
}


@pytest.mark.parametrize(("told", "languages"), CARDS.values(), ids=CARDS)
def test_languages_of_cards(told: dict[str, Any], languages: tuple[str, ...]) -> None:
    """Where the election has an address there are cards, in its first language unless it names others or wants none."""
    assert election(**{"languages": ("id", "en"), "address": ADDRESS} | told).card_languages == languages


def test_who_has_a_card() -> None:
    """Areas down to the shard level and the contest's own; in the page's language, if cards are made in it, else in the first one."""
    cards = election(languages=("id", "en"), cards=("id",), address=ADDRESS)
    assert (sharing_of(province(), cards, "en") or ())[1:] == (f"{ADDRESS}embed/ppwp/11.png",)
    both = election(languages=("id", "en"), cards=("id", "en"), address=ADDRESS)
    assert (sharing_of(province(), both, "en") or ())[1:] == (f"{ADDRESS}embed/ppwp/11.en.png",)
    assert sharing_of(village(), both) is None
    regional = replace(contest(), area=village()["area"]["code"])
    assert sharing_of(village(), replace(both, contests=(regional,)))
    assert card_path("ppwp/1101/1101.json", "en") == "embed/ppwp/1101/1101.en.png"
    page = Pages(SOURCES, both).area_page(village()).decode()
    assert "og:" not in page
    front = Pages(SOURCES, both).index_page(3, RELEASED, [(contest(), nation())]).decode()
    assert f'<meta property="og:image" content="{ADDRESS}embed/ppwp/0.png">' in front
