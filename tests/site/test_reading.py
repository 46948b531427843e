"""The pages as a person meets them, in real Chromium: eyes, screen reader, keyboard, no script, paper, a hostile hand-in."""

import json
import re
import subprocess
from collections.abc import Iterator
from itertools import product

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.programs import require, require_package
from tests.site.conftest import Place

VILLAGE = "ppwp/1101/1101012001.html"
LARGE = "ppwp/1101/large.html", "ppwp/1101/large-2.html"
PAGES = ("index.html", "ppwp/0.html", "ppwp/0-shapes.html", "ppwp/11.html", VILLAGE, *LARGE, "cara-membaca.html")


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context(viewport={"width": 320, "height": 640}, service_workers="block") as made:
        yield made


def opened(context: BrowserContext, place: Place, path: str) -> Page:
    page = context.new_page()
    page.goto(place.url + path)
    return page


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("folder", ["", "en/"])
def test_axe(context: BrowserContext, place: Place, folder: str, path: str) -> None:
    """axe finds no violation on any kind of page, with every line opened, in light and dark, and on a wide screen leaves nothing undecided."""
    page = opened(context, place, folder + path)
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    page.evaluate((require_package("axe-core") / "axe.min.js").read_text())
    for width, scheme in product((320, 360, 1280), ("light", "dark")):
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("[innerWidth, matchMedia('(prefers-color-scheme: dark)').matches]") == [
            width,
            scheme == "dark",
        ]
        found = page.evaluate("axe.run({ resultTypes: ['violations', 'incomplete'] })")
        told = [(one["id"], [node["target"] for node in one["nodes"]]) for one in found["violations"]]
        assert told == [], (width, scheme)
        undecided = [
            (one["id"], node["target"])
            for one in found["incomplete"]
            for node in one["nodes"]
            if not node["html"].startswith("<text ")  # axe knows no background of text in a drawing
        ]
        assert width < 1280 or undecided == [], scheme


@pytest.mark.parametrize("folder", ["", "en/"])
def test_nothing_is_wider_than_a_small_phone(context: BrowserContext, place: Place, folder: str) -> None:
    """At 320 px no page scrolls sideways, with every line opened."""
    for path in PAGES:
        page = opened(context, place, folder + path)
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        assert page.evaluate("document.documentElement.scrollWidth") == 320, path


def test_commands_are_whole_on_a_small_phone(context: BrowserContext, place: Place) -> None:
    """At 320 px a command breaks at the edge instead of going on beyond it."""
    for path, commands in ((VILLAGE, 1), ("periksa.html", 2)):
        found = opened(context, place, path).locator("pre").all()
        assert [one.evaluate("one => one.scrollWidth - one.clientWidth") for one in found] == [0] * commands, path


def test_heads_take_few_lines_on_a_small_phone(context: BrowserContext, place: Place) -> None:
    """At 320 px no head of the table of votes takes more than five lines, whatever the system's letters, where a column's figures are short, too."""
    page = opened(context, place, "ppwp/11.html")
    page.evaluate("for (const one of document.querySelectorAll('.votes td')) one.textContent = '3.698'")
    heads = page.locator(".votes thead th")
    lines = """one => {
        const text = document.createRange();
        text.selectNodeContents(one);
        return new Set([...text.getClientRects()].map(line => line.top)).size;
    }"""
    told = {one.inner_text(): one.evaluate(lines) for one in heads.all()}
    assert any(head.startswith("Jumlah rekap di bawah") for head in told)
    assert all(count <= 5 for count in told.values()), told


def test_by_keyboard_alone(context: BrowserContext, place: Place) -> None:
    """Tab first meets the way past the navigation, then every link and line in the page's order, visibly; Enter opens a station."""
    page = opened(context, place, VILLAGE)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    met = set()
    while True:
        page.keyboard.press("Tab")
        tag, text, outline = page.evaluate(
            "[document.activeElement.tagName, document.activeElement.textContent, getComputedStyle(document.activeElement).outlineStyle]"
        )
        if tag == "BODY":
            break
        assert outline == "solid", text
        met.add(text)
        if tag == "SUMMARY" and text.startswith("TPS 2"):
            page.keyboard.press("Enter")
            assert page.locator("#tps-2").is_visible()
    assert {"Beranda", "Rawa Indah", "Awan Biru", "1101012001_2.jpg"} <= met


def test_without_javascript(browser: Browser, place: Place) -> None:
    """Without scripts a page has its figures, a station opens, and a link to a station shows its form."""
    with browser.new_context(java_script_enabled=False) as context:
        page = opened(context, place, VILLAGE)
        assert "212" in page.locator("main").inner_text()
        page.locator("summary", has_text="TPS 1").click()
        assert page.locator("#tps-1").is_visible()
        page.goto(f"{place.url}{VILLAGE}#tps-2")
        assert page.locator("#tps-2").is_visible()


def test_many_stations_without_javascript(browser: Browser, place: Place) -> None:
    """From a large village's page links by number lead to a further page of its stations, from there to the ones before and back to the sums; a link to a station shows its form."""
    with browser.new_context(java_script_enabled=False) as context:
        page = opened(context, place, LARGE[0])
        assert page.locator("summary").count() == 60
        page.get_by_role("navigation", name="TPS: semua halaman").get_by_role("link", name="61–70").click()
        assert page.url == place.url + LARGE[1]
        assert page.locator("h1").inner_text().endswith("Suka Maju, TPS 61–70")
        assert page.locator("[aria-current=page]").all_inner_texts() == ["TPS 61–70", "61–70"]
        page.locator("summary", has_text="TPS 65").click()
        page.get_by_role("link", name="TPS 65, hitungan, revisi 2").click()
        assert page.locator("#riwayat-1").is_visible()
        page.get_by_role("link", name="TPS 1–60").click()
        assert page.url == place.url + LARGE[0]
        page.goto(f"{place.url}{LARGE[1]}#tps-70")
        assert page.locator("#tps-70").is_visible()
        page.get_by_role("link", name="Jumlah dan riwayat seluruh wilayah").click()
        assert page.url == place.url + LARGE[0]


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("#tps-7", "large.html#tps-7"),
        ("#tps-007", "large.html#tps-7"),
        ("#tps-65", "large-2.html#tps-65"),
        ("#tps-065", "large-2.html#tps-65"),
    ],
)
def test_a_link_to_a_station_finds_it(context: BrowserContext, place: Place, link: str, shown: str) -> None:
    """A link to a station of a large village, such as the search makes, leads to its form on whichever page it is, with or without zeros before its number."""
    page = context.new_page()
    page.goto(place.url + LARGE[0] + link)
    page.wait_for_url(f"**/{shown}")
    assert page.locator(f"#{shown.partition('#')[2]}").is_visible()


def test_a_link_to_no_station_stays(context: BrowserContext, place: Place) -> None:
    """A link to a station that a village does not have shows the village's first page."""
    page = opened(context, place, f"{LARGE[0]}#tps-99")
    page.wait_for_load_state("networkidle")
    assert page.url == f"{place.url}{LARGE[0]}#tps-99"


def test_a_further_page_is_not_called_changed(context: BrowserContext, place: Place) -> None:
    """Of a further page of stations nobody says that it has changed because something else has; that an update is due, it tells."""
    context.route("**/latest.json", lambda route: route.fulfill(body='{"release":9,"expires":"2126-01-01T00:00:00Z"}'))
    page = opened(context, place, LARGE[1])
    page.wait_for_load_state("networkidle")
    assert page.locator("#due").inner_text().startswith("Pembaruan berikutnya")
    assert page.locator("#latest").inner_text() == ""


def test_on_paper(context: BrowserContext, place: Place) -> None:
    """A printed page is not empty, and has the QR code of its address and release, which the screen does not show."""
    page = opened(context, place, "ppwp/0.html")
    assert page.locator("svg.code").is_hidden()
    assert len(page.pdf()) > 10_000
    page.emulate_media(media="print")
    assert page.locator("svg.code").is_visible()


@pytest.mark.parametrize("path", [VILLAGE, "ppwp/0.html", "ppwp/0-shapes.html"])
def test_no_heading_ends_a_sheet(context: BrowserContext, place: Place, path: str) -> None:
    """On paper of any height no sheet ends with a heading, or with the words beneath it that tell of a map or a chart."""
    page = opened(context, place, path)
    texts = "nodes => nodes.map(node => node.textContent.replace(/\\s+/g, ' ').trim())"
    headings = page.eval_on_selector_all("h2, h3, .stations div p", texts)
    notes = " ".join(page.eval_on_selector_all("h2+p:has(+svg)", texts))
    assert {"Pindaian formulir:", "Peta: siapa unggul"} & {*headings}
    for height in range(620, 1130, 30):
        paper = page.pdf(
            width="794px", height=f"{height}px", margin=dict.fromkeys(("top", "bottom", "left", "right"), "38px")
        )
        done = subprocess.run([require("pdftotext"), "-layout", "-", "-"], input=paper, capture_output=True, check=True)
        sheets = [sheet.strip().splitlines()[-1].strip() for sheet in done.stdout.decode().split("\f") if sheet.strip()]
        assert [last for last in sheets if last in headings or (len(last) > 9 and last in notes)] == [], height


def test_one_request_before_it_can_be_read(context: BrowserContext, place: Place) -> None:
    """The first request brings all that is seen: no style sheet, no image, no font; scripts wait, and nothing comes from elsewhere."""
    asked: list[tuple[str, str]] = []
    context.on("request", lambda request: asked.append((request.resource_type, request.url)))
    page = opened(context, place, "ppwp/0.html")
    scripts = re.findall("<script.*?>", (place.folder / "ppwp/0.html").read_text())
    assert all(script.endswith(" defer>") for script in scripts)
    page.wait_for_load_state("networkidle")
    assert all(url.startswith(place.url) for _, url in asked)
    assert {kind for kind, _ in asked} <= {"document", "script", "fetch", "other"}
    assert page.locator("img").count() == 0


def test_the_policy_stops_nothing_of_ours(context: BrowserContext, place: Place) -> None:
    """Style and scripts run under the policy that the server sends, and no page says anything to the console but for the missing checker."""
    said: list[str] = []
    context.on("console", lambda message: said.append(message.text))
    for path in PAGES:
        page = opened(context, place, path)
        assert page.evaluate("getComputedStyle(document.querySelector('.skip')).position") == "absolute"
    assert [text for text in said if "404" not in text and "/sw.js" not in text and "Service Worker" not in text] == []


def test_a_hostile_name_does_nothing(context: BrowserContext, place: Place) -> None:
    """Titles and names that are markup are shown as text: no dialog, no request elsewhere, no element of theirs."""
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    context.on("dialog", lambda dialog: pytest.fail(dialog.message))
    for folder in ("", "en/"):
        for path in PAGES[:7]:
            page = opened(context, place, f"../jahat/{folder}{path}")
            assert "onerror=alert(1)" in page.inner_text("body")
            assert page.locator("img, script:not([src])").count() == 0
    assert not [url for url in asked if "evil.test" in url]


@pytest.mark.parametrize(
    ("latest", "said"),
    [
        ({"release": 3, "expires": "2126-01-01T00:00:00Z"}, ""),
        ({"release": 3, "expires": "2026-02-11T10:45:00Z"}, "PEMBARUAN TERLAMBAT"),
        (
            {
                "release": 3,
                "expires": "2126-01-01T00:00:00Z",
                "frozen": {"since": "2026-02-11T11:00:00Z", "reason": "<b>uji</b>"},
            },
            "<b>uji</b>",
        ),
        ({"release": 4, "expires": "2126-01-01T00:00:00Z"}, "rilis 4"),
        ("no JSON", ""),
    ],
    ids=["current", "overdue", "on hold", "newer", "broken"],
)
def test_what_is_current_is_told(context: BrowserContext, place: Place, latest: object, said: str) -> None:
    """The hint of latest.json becomes a banner: an update overdue, publication on hold, a newer release; without it the page stands alone."""
    context.route("**/latest.json", lambda route: route.fulfill(body=json.dumps(latest)))
    context.route("**/1101012001.json", lambda route: route.fulfill(body='{"release":4}'))
    page = opened(context, place, VILLAGE)
    page.wait_for_load_state("networkidle")
    banner = page.locator("#latest").inner_text()
    assert (said in banner) if said else not banner
    due = page.locator("#due").inner_text()
    assert due.startswith("Pembaruan berikutnya") == (isinstance(latest, dict) and said != "PEMBARUAN TERLAMBAT")


def test_languages_lead_to_each_other(context: BrowserContext, place: Place) -> None:
    """From each page one link leads to the same page in the other language, and back."""
    for path in PAGES:
        page = opened(context, place, path)
        page.click(".languages a")
        assert (page.url, page.locator("html").get_attribute("lang")) == (f"{place.url}en/{path}", "en")
        page.click(".languages a")
        assert page.url == place.url + path


@pytest.mark.parametrize(("path", "name"), [("ppwp/0.html", "TB 2: "), ("ppwp/0-shapes.html", "2: ")])
def test_the_map_leads_to_the_provinces(browser: Browser, place: Place, path: str, name: str) -> None:
    """A tile or shape names its area and leader in words, is reached by keyboard, and leads to the area's page; no script is asked for that."""
    with browser.new_context(java_script_enabled=False) as context:
        page = opened(context, place, path)
        link = page.locator("svg.map").get_by_role("link", name=f"{name}Tanjung Biru, unggul dengan", exact=False)
        link.focus()
        assert link.locator(".tile").first.evaluate("one => getComputedStyle(one).strokeWidth") == "3px"
        page.keyboard.press("Enter")
        page.wait_for_url(f"{place.url}ppwp/11.html")


def test_the_map_has_numbers_for_all(context: BrowserContext, place: Place) -> None:
    """Where shapes have no room for a number, or an area has no shape, the area is listed with its number beside the map."""
    page = opened(context, place, "ppwp/0-shapes.html")
    assert page.locator("svg.map text").all_text_contents() == ["2"]
    listed = page.get_by_role("navigation", name="Wilayah yang nomornya tidak muat")
    assert listed.get_by_role("listitem").all_inner_texts() == ["- Luar Negeri"]
