"""Pages: what a citizen reads, whatever the data holds."""

import ast
import base64
import hashlib
import html
import os
import posixpath
import re
import sys
from collections.abc import Callable
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jinja2.sandbox
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from builder.content import parse_page
from builder.election import Kind, KindTitle, Level, Title
from builder.errors import BuilderError, ContentError
from builder.figures import Figures, bar_width, local_time, share, signed
from builder.pages import Pages
from builder.rules import FLAG_CODES
from builder.templates import Templates, compact_style, read_templates, read_texts
from builder.wording import SHAPES
from tests.builder.sample_results import contest, election, nation, province, village
from verifier.headers import PAGE_STYLES

TEMPLATES = Path(sys.modules["builder"].__path__[0]).parent / "site_templates"
GOLDEN = Path(__file__).parent.parent / "golden"
RELEASED = "2026-02-11T10:30:00Z"
SAMPLES = {"village": village, "province": province, "nation": nation}
HOSTILE = {
    "script": "<script>alert(1)</script>",
    "attribute": '"><img src=x onerror=alert(1)>',
    "right-to-left": "Desa \u202egnp.exe",
    "template": "{{7*7}}{% include 'x' %}[[ votes ]]",
    "separator": "a\x1fb",
    "10 kB": "A" * 10_000,
    "entities": "&lt;b&gt; &amp; 'x'",
    "ends the title": "</title><h1>",
}


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    return read_templates(TEMPLATES)


@pytest.fixture(scope="module")
def pages(sources: dict[str, str]) -> Pages:
    return Pages(sources, election())


class Page(HTMLParser):
    """Elements with their attributes, the text, and the name of every element's class."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def links(self) -> list[str]:
        return [
            value
            for _, attributes in self.elements
            for name, value in attributes.items()
            if name in {"href", "src", "data-latest"} and value
        ]


def hostile(name: str) -> dict[str, Any]:
    """A village in which every text that is not a code is `name`."""
    results = village()
    results["area"] = results["area"] | {"name": name}
    results["parents"] = [parent | {"name": name} for parent in results["parents"]]
    results["revisions"] = [
        one | {"note": name, "by": name, "document": name, "reason": name} for one in results["revisions"]
    ]
    results["sources"] = [
        one | {"by": name, "document": name, "form": name, "tier": name} for one in results["sources"]
    ]
    results["findings"] = [one | {"rule": name} for one in results["findings"]]
    return results


@pytest.mark.parametrize("name", SAMPLES)
def test_golden(pages: Pages, name: str) -> None:
    """The page of each kind of area is the one that was looked at when its golden file was written."""
    page = pages.area_page(SAMPLES[name]())
    golden = GOLDEN / f"{name}.html"
    if os.environ.get("TERBIT_UPDATE_GOLDEN"):
        golden.write_bytes(page)
    assert page == golden.read_bytes(), "look at the page, then run with TERBIT_UPDATE_GOLDEN=1"


@pytest.mark.parametrize(
    ("name", "heading"),
    [("KOTA JAKARTA SELATAN", "KOTA JAKARTA SELATAN"), ("Kotabaru", "Kabupaten/Kota Kotabaru"), ("Kota", "Kota")],
)
def test_a_name_that_tells_its_level_stands_alone(sources: dict[str, str], name: str, heading: str) -> None:
    """No city is called "Kabupaten/Kota KOTA …": a name that begins with a word of its level's title is not put behind that title."""
    levels = tuple(Level(id=one.id, title=Title(id="Kabupaten/Kota", en="Regency")) for one in election().levels)
    pages = Pages(sources, election(levels=levels))
    results = village()
    page = pages.area_page(results | {"area": results["area"] | {"name": name}}).decode()
    assert f"<h1><bdi>{heading}</bdi></h1>" in page.replace("&#x2f;", "/")
    assert f"<title>{heading} – " in html.unescape(page)


OVERSEAS = {"domestic": Kind(), "overseas": Kind(titles={
    "provinsi": KindTitle(id="", en=""),
    "kabupaten": KindTitle(id="Perwakilan", en="Mission"),
})}  # fmt: skip


@pytest.mark.parametrize(
    ("language", "level", "kind", "heading"),
    [
        ("id", "kabupaten", "overseas", "Perwakilan PARIS"),
        ("en", "kabupaten", "overseas", "PARIS, Mission"),
        ("id", "provinsi", "overseas", "PARIS"),
        ("en", "provinsi", "overseas", "PARIS"),
        ("id", "kecamatan", "overseas", "Kecamatan PARIS"),
        ("id", "kabupaten", "domestic", "Kabupaten PARIS"),
    ],
)
def test_a_kind_of_areas_has_titles_of_its_own(sources: dict[str, str], language: str, level: str, kind: str, heading: str) -> None:  # fmt: skip
    """Where the definition gives a kind of areas another title for a level, headings, titles and sources have it, and where it is empty the name alone; other kinds keep the level's."""
    results = village()
    results |= {
        "area": results["area"] | {"name": "PARIS", "level": level, "kind": kind},
        "sources": [results["sources"][0] | {"tier": level, "area": results["area"]["code"]}],
    }
    pages = Pages(sources, election(kinds=OVERSEAS, languages=("id", "en")), language)
    page = html.unescape(pages.area_page(results).decode())
    assert f"<h1><bdi>{heading}</bdi></h1>" in page
    assert f"<title>{heading} – " in page
    title = heading.replace("PARIS", "").strip(" ,")
    assert f", {title}{' ' * bool(title)}<bdi>PARIS</bdi>, " in page


@pytest.mark.parametrize(
    ("level", "kind", "head"),
    [
        ("provinsi", "overseas", "Perwakilan"),
        ("provinsi", "domestic", "Kabupaten"),
        ("negara", "overseas", "Wilayah"),
        ("negara", "domestic", "Provinsi"),
        ("kabupaten", "overseas", "Kecamatan"),
    ],
)
def test_what_lies_below_a_kind_of_areas_is_headed_by_its_titles(sources: dict[str, str], level: str, kind: str, head: str) -> None:  # fmt: skip
    """The areas below one of such a kind stand under its titles, and under the word for any area where that is empty: a column needs a head."""
    area = {"code": "99", "name": "LUAR NEGERI", "level": level, "kind": kind}
    page = Pages(sources, election(kinds=OVERSEAS)).area_page(province(area=area)).decode()
    assert f'<thead><tr><th scope="col">{head}</th>' in page


def test_what_came_together_is_told_once(pages: Pages) -> None:
    """Reason, authority and package of a correction of many stations stand once in the history, the newest release first; each station's figures below it."""
    results = village()
    one = results["revisions"][0]
    many = [
        one
        | {"station": str(number), "package": ("cd" if number == 4 else "ab") * 32, "release": 3 if number == 4 else 2}
        for number in range(1, 5)
    ]
    page = pages.area_page(results | {"revisions": many}).decode()
    history = page[page.index('id="riwayat"') : page.index("<h2>Sumber")]
    assert re.findall("<h3>(Rilis [0-9]):", history) == ["Rilis 3", "Rilis 2"]
    assert re.findall("<h4>TPS ([0-9]),", history) == ["4", "1", "2", "3"]
    assert history.count("<code>abababababab</code>") == 1


def test_a_station_with_a_name_is_told_by_it(pages: Pages) -> None:
    """Overseas, votes are counted from the post and from mobile boxes, too: a station whose number begins with a letter is no "TPS" wherever it is named."""
    text = str(village()).replace("'station': '2'", "'station': 'KSK-2'").replace("('2',", "('KSK-2',")
    page = pages.area_page(ast.literal_eval(text)).decode()
    assert "<b>KSK-2</b>" in page
    assert '<a href="#tps-KSK-2">KSK-2</a>' in page
    assert "TPS KSK-2" not in page
    assert "<b>TPS 4</b>" in page


@pytest.mark.parametrize("name", SAMPLES)
def test_both_engines_give_the_same_bytes(monkeypatch: pytest.MonkeyPatch, pages: Pages, name: str) -> None:
    """jinja2 renders an area's page to the bytes that minijinja gives, but for three characters' spelling as entities."""
    entities = {"/": "&#x2f;", "'": "&#x27;", '"': "&quot;", "&": "&amp;", "<": "&lt;", ">": "&gt;"}

    def escape(value: object) -> Markup:
        return value if isinstance(value, Markup) else Markup(str(value).translate(str.maketrans(entities)))

    engine = "jinja2.sandbox.ImmutableSandboxedEnvironment"
    monkeypatch.setattr(engine, partial(jinja2.sandbox.ImmutableSandboxedEnvironment, finalize=escape))
    monkeypatch.setattr("builder.templates._Compiled._codes", {})  # this engine's code is no other's
    slow = Pages(TEMPLATES, election())
    monkeypatch.setattr(slow, "_area_templates", slow._templates)
    assert slow.area_page(SAMPLES[name]()) == pages.area_page(SAMPLES[name]())


def test_same_values_same_bytes(sources: dict[str, str]) -> None:
    """Another Pages object renders the same bytes, also after it has rendered other pages."""
    first, second = Pages(sources, election()), Pages(TEMPLATES, election())
    second.area_page(nation())
    assert [first.area_page(make()) for make in SAMPLES.values()] == [
        second.area_page(make()) for make in SAMPLES.values()
    ]


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_hostile_names_stay_text(name: str) -> None:
    """A name, note or document brings no element, no attribute and no template code into a page."""
    calm = Pages(TEMPLATES, election(contests=(contest("Aman", "Tenang"),)))
    attacked = Pages(TEMPLATES, election(title=Title(id=name, en=name), contests=(contest(name, name),)))
    expected, page = Page(calm.area_page(hostile("Aman"))), Page(attacked.area_page(hostile(name)))
    assert [(tag, sorted(attributes)) for tag, attributes in page.elements] == [
        (tag, sorted(attributes)) for tag, attributes in expected.elements
    ]
    assert name in page.text


def test_direction_marks_are_isolated(pages: Pages) -> None:
    """A right-to-left override stays within its own <bdi>, and out of the title."""
    page = pages.area_page(hostile("Desa \u202egnp")).decode()
    assert "\u202e" not in page[: page.index("</title>")]
    for found in re.finditer("\u202e", page):
        before = page[: found.start()]
        assert before.rfind("<bdi>") > before.rfind("</bdi>") or before.rfind("<li>") > before.rfind("<bdi>"), page[
            found.start() - 80 :
        ][:160]


def every_page(pages: Pages) -> dict[str, bytes]:
    content = [
        parse_page(b"# Cara membaca\n\nTeks.", "cara-membaca", "id", "x"),
        parse_page(b"# How", "how", "en", "x"),
    ]
    found = {make()["path"].replace(".json", ".html"): pages.area_page(make()) for make in SAMPLES.values()}
    found["index.html"] = pages.index_page(3, RELEASED, [(contest(), nation())], content)
    english = Pages(TEMPLATES, pages._election, "en")
    found |= {page.path: by.content_page(page) for page, by in zip(content, (pages, english), strict=True)}
    return found


def test_nothing_inline_but_the_style_sheet(sources: dict[str, str], pages: Pages) -> None:
    """The one inline style of every page is the sheet that the policies name by its hash; no script is inline."""
    digest = hashlib.sha256(compact_style(sources["assets/terbit.css"]).encode()).digest()
    assert PAGE_STYLES[0] == f"'sha256-{base64.b64encode(digest).decode()}'", "put the new hash into both policies"
    assert PAGE_STYLES[0] in (TEMPLATES / "check" / "headers.js").read_text()
    for path, data in every_page(pages).items():
        (style,) = re.findall(rb"<style>(.*?)</style>", data, re.DOTALL)
        assert style.decode() == compact_style(sources["assets/terbit.css"])
        for tag, attributes in Page(data).elements:
            assert tag != "script" or attributes.get("src"), path
            assert not [name for name in attributes if name == "style" or name.startswith("on")], path


def test_fields_that_were_empty_bury_no_correction(pages: Pages) -> None:
    """Where a package filled in empty fields, the history names its stations in one line, and shows with old and new what was replaced."""
    replaced, *_ = village()["revisions"]
    filled = [replaced | {"station": one, "changes": [["voters", None, 208]], "reason": "late"} for one in ("2", "3")]
    page = pages.area_page(village(revisions=[filled[0], replaced, filled[1]])).decode()
    assert page.count("<h4>Isian kosong yang menyusul</h4>") == 1
    assert '<a id="riwayat-1" href="#tps-2">TPS 2</a>, <a id="riwayat-3" href="#tps-3">TPS 3</a></p>' in page
    assert '<section id="riwayat-2">' in page
    assert page.count("<td>172<td>112") == 1
    assert page.count("<td>208") == 1


def test_what_stands_on_every_page_is_ascii(pages: Pages) -> None:
    """A village's page is ASCII, which Python encodes in no time, and shows dashes and signs all the same."""
    page = pages.area_page(village())
    assert page.isascii()
    assert "<bdi>Anwar Melati – Budi Kenanga</bdi>" in html.unescape(page.decode())
    assert "⚠" in html.unescape(page.decode())


def test_code_of_templates_stays_as_it_is(sources: dict[str, str]) -> None:
    """What is not ASCII becomes a reference where it is text of a template, and stays where it is a text within its code."""
    templates = Templates(
        sources | {"x.html": '– {{ "é–<" }} {# – #}{% if name == "–" %}⚠{% endif %}'},
        "id",
        read_texts(sources, "id")["page"]
        | {"language": "id", "election_title": "x", "station": "TPS", "stations_in": "x"},
    )
    assert templates.render("x.html", {"name": "–"}) == "&#8211; é–&lt; &#9888;"


def test_links_are_relative_and_resolve(pages: Pages) -> None:
    """Every link works from a disk: relative, with its extension, and to a file that the site has."""
    areas = {parent["path"] for parent in village()["parents"]} | {
        row[2] for make in (nation, province) for row in make()["children"]["rows"]
    }
    known = {
        *every_page(pages),
        "latest.json",
        "keys/minisign.pub",
        "assets/periksa.html",
        "assets/periksa-luring.html",
        *(f"{path}.html" for path in areas),
    }
    known |= {"feeds/releases.atom", "feeds/corrections.atom", "ppwp/a-z.html", "data/ppwp/0.html"}  # builder/extras.py
    known |= {f"assets/{path.name}" for path in (TEMPLATES / "assets").iterdir()}
    known |= {f"packages/{one['package']}/recap.toml" for one in village()["sources"]}
    known |= {f"{make()['path']}{end}" for make in SAMPLES.values() for end in ("", ".minisig")}
    for path, data in every_page(pages).items():
        for link in Page(data).links():
            if not link.startswith("#"):
                target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link.partition("#")[0]))
                assert target in known, f"{path} links to {link}"


def test_every_table_says_what_it_is(pages: Pages) -> None:
    """Each table has a caption, each head cell a scope, each scrolling box a name and the keyboard's focus."""
    for path, data in every_page(pages).items():
        elements = Page(data).elements
        count = [tag for tag, _ in elements].count
        assert count("table") == count("caption"), path
        assert all(attributes.get("scope") for tag, attributes in elements if tag == "th"), path
        boxes = [attributes for _, attributes in elements if attributes.get("class") == "scroll"]
        assert all(box["tabindex"] == "0" and box["role"] == "region" and box["aria-label"] for box in boxes), path
        assert count("h1") == 1, path


def test_language_of_content_pages(sources: dict[str, str]) -> None:
    """An English page says that it is English, in its frame too, and leads to the same page in Indonesian."""
    how = parse_page(b"# How", "how", "en", "x")
    address = "https://hasil.example.org/contoh/"
    page = Pages(sources, election(address=address), "en").content_page(how, ("id", "en")).decode()
    assert '<html lang="en" ' in page
    assert "Skip to content" in page
    assert '<a href="../how.html" hreflang="id" lang="id">' in page.replace("&#x2f;", "/")
    for language, folder in (("id", ""), ("en", "en/")):
        assert f'<link rel="alternate" hreflang="{language}" href="{address}{folder}how.html">' in page.replace(
            "&#x2f;", "/"
        )
    assert 'rel="alternate"' not in Pages(sources, election(), "en").content_page(how, ("id", "en")).decode()
    assert "<title>How – Example Election</title>" in page


def test_a_line_that_opens_holds_nothing(pages: Pages) -> None:
    """What a line opens stands beside its `details`, not within: browsers hide what is within from paper, and not all can be told otherwise."""
    found = [
        re.findall(r"<details[^>]*>(.*?)</details>", data.decode(), re.DOTALL) for data in every_page(pages).values()
    ]
    within = [one for several in found for one in several]
    assert within
    assert all(re.fullmatch(r"<summary>((?!</summary>).)*</summary>", one) for one in within)


@pytest.mark.parametrize("state", [("withdrawn", "ditarik"), ("pending", "belum masuk")])
def test_states_in_words(pages: Pages, state: tuple[str, str]) -> None:
    """A withdrawn station and one not in yet are marked by class and by a word."""
    row = re.search(rf'<details class="{state[0]}">.*', pages.area_page(village()).decode())
    assert row is not None
    assert state[1] in row[0]


def test_statuses_have_word_and_shape(sources: dict[str, str]) -> None:
    """Every status has its own words and its own shape."""
    assert SHAPES.keys() == read_texts(sources, "id")["statuses"].keys()
    assert len(set(SHAPES.values())) == len(SHAPES)


def test_every_flag_has_words(sources: dict[str, str]) -> None:
    """Every rule that can flag a figure has a label, and a sentence with both figures."""
    rules = read_texts(sources, "id")["rules"]
    assert set(rules) == set(FLAG_CODES)
    for rule in rules.values():
        sentence = rule["sentence"].format(left="12", right="10")
        assert rule["label"]
        assert not set("≠<>") & set(rule["label"])  # in bold such a sign runs into the next word
        assert "12" in sentence
        assert "10" in sentence


def test_unknown_rule_shows_its_code(pages: Pages) -> None:
    """A rule without a text is shown by its code, in sentences, counts and tables."""
    results = village(findings=[{"rule": "new-rule", "station": "", "series": "count", "left": 1, "right": None}])
    results["polling_stations"]["rows"] = [("1", 1, "", 1, 2, 3, 3, 3, 0, "new-rule")]
    assert pages.area_page(results).decode().count("new-rule") == 1
    assert "a-later-rule" in pages.area_page(nation()).decode()


@pytest.mark.parametrize(
    ("language", "sentence"),
    [("id", "Rekapitulasi: jumlah suara calon 1.846"), ("en", "Recap: the candidates' votes add up to 1,846")],
    ids=["id", "en"],
)
def test_a_finding_of_the_recap_says_so(sources: dict[str, str], language: str, sentence: str) -> None:
    """A rule that the recapitulation's own figures break is a sentence about the recapitulation, among the findings that the top of the page counts."""
    found = {"rule": "candidates-valid", "station": "", "series": "recap", "left": 1846, "right": 1806}
    results = village(findings=[found], finding_counts={"candidates-valid": 1})
    page = html.unescape(Pages(sources, election(languages=("id", "en")), language).area_page(results).decode())
    assert sentence in page
    assert '<a href="#temuan">⚠ <b>1</b></a>' in page


def test_below_never_takes_the_recaps_place(pages: Pages) -> None:
    """Without a recap of its own the column is named as the sum of those below, with how many have come."""
    page = pages.area_page(nation()).decode()
    assert "Belum ada rekap yang diserahkan; jumlah rekap tingkat di bawah: 1 dari 2 sudah masuk." in page
    assert '<th scope="col">Jumlah rekap di bawah (1 dari 2)</th>' in page
    both = pages.area_page(province()).decode()
    assert re.search("Rekapitulasi</th>.*Jumlah rekap di bawah .23 dari 23.</th>.*Selisih</th>", both)


@pytest.mark.parametrize("results", [village(), nation(below=None)], ids=["village", "nation"])
def test_no_columns_of_dashes_before_a_recap(pages: Pages, results: dict[str, Any]) -> None:
    """While no recap is in, neither of an area nor below it, a sentence says so, and no table repeats the bars' figures beside columns of dashes, on the front page neither."""
    page, front = pages.area_page(results).decode(), pages.index_page(3, RELEASED, [(contest(), results)]).decode()
    assert page.count("Belum ada rekap yang diserahkan.") == 1
    for one in (page, front):
        assert '<ol class="bars">' in one
        assert '<table class="votes">' not in one
    assert '<table class="votes">' in pages.area_page(results | {"below": nation()["below"]}).decode()
    assert '<table class="votes">' in pages.index_page(3, RELEASED, [(contest(), province())]).decode()


@pytest.mark.parametrize(
    ("language", "again", "recap"),
    [
        ("id", "TPS 3, hitungan, revisi 3, berlaku lagi setelah ditarik", "Rekapitulasi, revisi 3"),
        ("en", "Polling station 3, count, revision 3, counts again after its withdrawal", "Recap, revision 3"),
    ],
)
def test_what_counts_again_after_a_withdrawal_says_so(sources: dict[str, str], language: str, again: str, recap: str) -> None:  # fmt: skip
    """A station's revision that follows its withdrawal says that it counts again, in the history and with the station; a later one, other stations and the recap, which were not withdrawn, do not."""
    results = village()
    withdrawn = results["revisions"][1]
    back = withdrawn | {"revision": 3, "state": "", "reason": "court", "package": "cd" * 32}
    others = [back | {"series": "recap", "station": ""}, back | {"revision": 4}, back | {"station": "4"}]
    results["revisions"] += [back, *others]
    page = html.unescape(Pages(sources, election(languages=("id", "en")), language).area_page(results).decode())
    assert f"<h4>{again}</h4>" in page
    assert f'<li><a href="#riwayat-3">{again}</a>: ' in page
    assert page.count(again.partition("3, ")[2].partition("3, ")[2]) == 2
    assert f"<h4>{recap}</h4>" in page


def test_a_part_below_has_no_difference_yet(pages: Pages) -> None:
    """While recaps below are missing, the page says that the difference waits for them; with all of them in it does not."""
    below = nation()["below"] | {"handed_in": 2}
    waits = "Selisih baru dihitung setelah semuanya masuk."
    assert waits in pages.area_page(nation()).decode()
    assert waits not in pages.area_page(nation(below=below, difference=[1, 2])).decode()
    front = pages.index_page(3, RELEASED, [(contest(), nation())]).decode()
    assert waits in front


@pytest.mark.parametrize(("languages", "english"), [(("id",), "../index.html"), (("id", "en"), "../en/index.html")])
def test_a_page_that_is_gone_says_so_in_both_languages(
    sources: dict[str, str], languages: tuple[str, ...], english: str
) -> None:
    """Each language has a heading and a way to the front page: in English to the English one, where there is one."""
    page = Page(Pages(sources, election(languages=languages)).gone_page(1))
    assert "Halaman ini tidak ada lagi" in page.text
    assert "This page is gone" in page.text
    assert [tag for tag, _ in page.elements if tag in {"h1", "h2"}] == ["h1", "h2"]
    assert [one["href"] for tag, one in page.elements if tag == "a"][1:] == ["../index.html", english]


@pytest.mark.parametrize("make", [nation, province])
def test_sums_change_with_the_areas_below(pages: Pages, make: Callable[[], dict[str, Any]]) -> None:
    """Above the last level no page says that none of its figures changed, but where changes below are listed."""
    page = pages.area_page(make()).decode()
    assert "Belum ada angka di wilayah ini yang diubah" not in page
    assert "Perubahan di wilayah bawahannya ikut terhitung di sini" in page


def test_unchanged_village(pages: Pages) -> None:
    """At the last level, where every figure is listed, a page may say that none has changed."""
    page = pages.area_page(village(revisions=[])).decode()
    assert "Belum ada angka di wilayah ini yang diubah sejak pertama kali terbit." in page
    assert "bawahannya" not in page


def test_hint_asks_for_what_the_page_was_made_from(pages: Pages) -> None:
    """An area's page is compared with its own JSON, whose release changes with its figures; the front page with the site."""
    for page, own in (
        (pages.area_page(village()), "1101012001.json"),
        (every_page(pages)["index.html"], ""),
    ):
        (hint,) = [attributes for _, attributes in Page(page).elements if attributes.get("id") == "latest"]
        assert (hint["data-own"], hint["data-release"]) == (own, "3")
    assert "terakhir berubah pada rilis 3" in pages.area_page(village()).decode()


def test_sources_by_name(pages: Pages) -> None:
    """A source is named by the area that handed in, which is the page's own or one of its parents."""
    assert "Hitungan, Kabupaten <bdi>Rawa Indah</bdi>" in pages.area_page(village()).decode()


def test_an_official_is_told_by_his_area(pages: Pages) -> None:
    """An official stands by the name of his area, with its code and his key's fingerprint behind; an area that is not above the page's stays a code."""
    for by, told in (
        ("1101 SHA256:abc", "pejabat Rawa Indah (1101), ditandatangani dengan kunci SHA256:abc"),
        ("77 SHA256:abc", "77 SHA256:abc (ditandatangani pejabat)"),
    ):
        signed = {"attestation": "official", "by": by}
        results = village()
        changed = {name: [one | signed for one in results[name]] for name in ("revisions", "sources")}
        assert (
            pages.area_page(results | changed).decode().count(f"Oleh: <bdi>{told}</bdi>") == 2
        )  # of its source, of its corrections


def test_front_page_leads_to_the_key_and_the_guide(pages: Pages) -> None:
    """The section on checking links the public key, and the page `periksa` where there is one."""
    guide = parse_page(b"# Periksa sendiri", "periksa", "id", "x")
    for content, expected in (([guide], True), ([], False)):
        page = pages.index_page(3, RELEASED, [], content).decode()
        section = page[page.index('id="periksa"') :]
        assert '<a href="keys/minisign.pub">' in section
        assert ('<a href="periksa.html">' in section) == expected


def test_content_is_listed_by_language(pages: Pages) -> None:
    """Pages of each language stand under that language's name."""
    front = every_page(pages)["index.html"].decode()
    places = [
        front.index(text) for text in ("Bahasa Indonesia</h3>", "cara-membaca.html", "English</h3>", "en/how.html")
    ]
    assert places == sorted(places)


def test_nothing_in_yet(pages: Pages) -> None:
    """An area without any figure shows dashes, not zeros, and no share, beside a recap that came first, too."""
    nothing = {"status": "pre-election", "votes": [None, None], "fields": [None] * 4}
    page = pages.area_page(village(count=nothing)).decode()
    assert "Belum ada suara masuk" in page
    first = pages.area_page(village(count=nothing, recap=province()["recap"])).decode()
    assert re.search("Calon 1<td>-<td>404.200 <small>[0-9,%]+</small><td>-\n", first)
    assert "– suara" not in page
    assert "– dari" not in page
    assert page.count("<small>belum ada suara</small>") == 2
    assert "<b>-</b> <small>belum ada angka</small>" in page


def test_banner_of_a_rehearsal() -> None:
    """A rehearsal says UJI COBA on every page, a real election on none."""
    rehearsal, real = every_page(Pages(TEMPLATES, election(test=True))), every_page(Pages(TEMPLATES, election()))
    assert all(b"UJI COBA" in page or b">TEST<" in page for page in rehearsal.values())
    assert not any(b"UJI COBA" in page or b">TEST<" in page for page in real.values())
    landmarks = [re.search(rb"<header>(.*?)</header>", page, re.DOTALL) for page in rehearsal.values()]
    assert all(found and b'class="banner"' in found[1] for found in landmarks)


def test_portal_lists_newest_first(pages: Pages) -> None:
    """The portal links every election, the newest first, and marks rehearsals."""
    older = election(id="lama", date=election().date.replace(year=2024))
    page = pages.portal_page([older, election(test=True)]).decode()
    assert page.index("contoh/index.html") < page.index("lama/index.html")
    assert page.count("UJI COBA") == 1
    assert 'href="contoh/assets/icon.svg"' in page.replace("&#x2f;", "/")
    assert b"Belum ada pemilihan." in pages.portal_page([])


@pytest.mark.parametrize("page", ["area.html", "portal.html"])
@pytest.mark.parametrize(
    ("template", "line", "problem"),
    [
        ("{# x #}\n{{ not_there }}", 2, "not_there. is undefined"),
        ("\n\n{% if %}", 3, "xpected"),
        ("\n[[ no_such_text ]]", 2, "no text 'no_such_text'"),
        ("{% include 'absent.html' %}", None, "template .*absent.html"),
        ("\n{{ (1, 2)|cells }}", None, "expected str"),
    ],
    ids=["missing value", "syntax", "missing text", "missing template", "wrong type"],
)
def test_broken_template_is_named(
    sources: dict[str, str], page: str, template: str, line: int | None, problem: str
) -> None:
    """A broken template stops the build with its own file and line: a missing value is never an empty string."""

    def render() -> None:
        pages = Pages({**sources, page: template}, election())
        pages.portal_page([]) if page == "portal.html" else pages.area_page(village())

    with pytest.raises(ContentError, match=problem) as caught:
        render()
    assert caught.value.file == page
    assert line in {None, caught.value.line}


def test_broken_component_is_named(sources: dict[str, str]) -> None:
    """An error within a component names the component, not the page that uses it."""
    name = "components/status.html"
    with pytest.raises(ContentError) as caught:
        Pages({**sources, name: sources[name].replace("{{ invalid }}", "{{ ivnalid }}")}, election()).area_page(
            village()
        )
    assert caught.value.file == name


@pytest.mark.parametrize("data", [b"\xff", b"x" * 1_000_001], ids=["not UTF-8", "too large"])
def test_unreadable_template(tmp_path: Path, data: bytes) -> None:
    """A template that is not UTF-8 or is too large is refused by name."""
    (tmp_path / "area.html").write_bytes(data)
    with pytest.raises(BuilderError, match=r"area\.html"):
        read_templates(tmp_path)


@given(st.integers(0, 999_999_999))
def test_figures_keep_their_digits(figure: int) -> None:
    """A figure as text is its digits with a dot before every third from the right."""
    text = Figures("–")[figure]
    assert text.replace(".", "") == str(figure)
    assert re.fullmatch(r"\d{1,3}(\.\d{3})*", text)


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=5))
def test_shares_add_up(votes: list[int]) -> None:
    """The shares of all candidates add up to 100 % within half a hundredth each."""
    total = sum(votes)
    if total:
        hundredths = [int(re.sub(r"\D", "", share(part, total))) for part in votes]
        assert abs(sum(hundredths) - 10_000) <= len(votes) / 2
        assert all(bar_width(part, total) == share(part, total).replace(",", ".") for part in votes)
    else:
        assert share(0, 0) == ""


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("Asia/Jakarta", "1 Januari 2027 00.30 WIB"),
        ("Asia/Makassar", "1 Januari 2027 01.30 WITA"),
        ("Asia/Jayapura", "1 Januari 2027 02.30 WIT"),
    ],
)
def test_times_in_the_elections_zone(zone: str, text: str) -> None:
    """Times carry the name of their zone, and the day there."""
    calendar = read_texts(read_templates(TEMPLATES), "id")["calendar"]
    assert local_time("2026-12-31T17:30:00Z", zone, calendar) == text


def test_signed() -> None:
    """A difference carries its sign, zero none."""
    assert [signed(figure, Figures("–")) for figure in (1_234, 0, -78_691_518)] == ["+1.234", "0", "−78.691.518"]
