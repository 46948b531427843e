"""Search, pages for frames and the page of what is not there, in Debian's Chromium over the site as it is served."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from publish.cli.keys import create_keys
from publish.serve import Server
from publish.workspace import Workspace
from tests.browser.chromium import chromium
from tests.election import ELECTION, NIGHT, write_definition
from tests.publish.workspace import deliver, publish
from tests.servers import serving

KIND_TITLES = 'titles = { provinsi = { id = "", en = "" }, kabupaten = { id = "Perwakilan", en = "Mission" } }'


@contextmanager
def served(folder: Path) -> Iterator[str]:
    with serving(Server(folder, "127.0.0.1", 0)) as server:
        yield server.url


@contextmanager
def another_site(folder: Path) -> Iterator[str]:
    """A site of somebody else's, without any headers of ours."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as server:
        yield f"http://localhost:{server.server_port}/"


def published(workspace: Path, **changes: str) -> Path:
    """The public tree of an election in both languages with these `changes` of its definition."""
    definition = ELECTION.replace("date = ", 'languages = ["id", "en"]\ndate = ')
    for old, new in changes.items():
        definition = definition.replace(old, new)
    write_definition(workspace / "content", definition)
    (workspace / "terbit.toml").write_text("workers = 1\n")
    create_keys(Workspace(workspace), NIGHT)
    deliver(workspace)
    publish(workspace)
    return workspace / "public"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The site's address. The checker needs a clock of that night: these tests do without it."""
    with served(published(tmp_path_factory.mktemp("search"))) as url:
        yield f"{url}uji/"


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a test election whose titles are long."""
    changes = {"shard_level = ": "test = true\nshard_level = ", '"Presiden"': '"Presiden dan Wakil Presiden"'}
    changes |= {'"President"': '"President and Vice President"', "Satu": "Rana Melati – Bagas Kenanga"}
    changes |= {'"Desa"': '"Desa/Kota"', "[kinds.overseas]": f"[kinds.overseas]\n{KIND_TITLES}"}
    with served(published(tmp_path_factory.mktemp("rehearsal"), **changes)) as url:
        yield f"{url}uji/"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(service_workers="block", viewport={"width": 320, "height": 640})
    yield context
    context.close()


def opened(context: BrowserContext, url: str) -> tuple[Page, list[str]]:
    """A page, and what its console complains of."""
    page, said = context.new_page(), list[str]()
    page.on("console", lambda message: said.append(message.text) if "Content Security Policy" in message.text else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(url)
    return page, said


@pytest.mark.parametrize(("front", "pages"), [("index.html", ""), ("en/index.html", "en/")])
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("cemp", ["ppwp/1102/110201.html"]),
        ("CEMPAKA dua", ["ppwp/1102/110201.html"]),
        ("110201", ["ppwp/1102/110201.html"]),
        ("jauh", ["ppwp/n991/n991.html", "ppwp/n991/n9911.html"]),
        ("-9911", ["ppwp/n991/n9911.html"]),
        ("utara", ["ppwp/11.html"]),
        ("Provinsi Utara", ["ppwp/11.html"]),
        ("Kabupaten Dua", ["ppwp/1102/1102.html"]),
        ("Cempaka, village", ["ppwp/1102/110201.html"]),
        ("desa kota jauh", ["ppwp/n991/n9911.html"]),
        ("kel. cempaka", ["ppwp/1102/110201.html"]),
        ("desa", []),
        ("tidak ada", []),
    ],
)
def test_search(site: str, context: BrowserContext, front: str, pages: str, text: str, found: list[str]) -> None:
    """An area is found by the beginning of any of its words, those of the areas above it, or its code, with or without its level; Enter leads to the first one's page."""
    page, said = opened(context, site + front)
    page.locator("#cari").fill(text)
    page.locator("[role=search] p:not(:empty)").wait_for()
    links = page.locator("[role=search] li a").evaluate_all("links => links.map(link => link.href)")
    assert [f"{site}{pages}{path}" for path in found] == links[: len(found)]
    assert bool(links) == bool(found)
    if links:
        heading = page.locator("[role=search] li a").first.inner_text()
        page.keyboard.press("Enter")
        page.wait_for_url(links[0])
        assert page.locator("h1").inner_text() == heading
    assert said == []


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("tps 2 cempaka", "2"),
        ("Cempaka, TPS 02", "2"),
        ("desa cempaka tps2", "2"),
        ("cempaka dua 3", "3"),
        ("tps 3 cempeka", "3"),
        ("110201003", "3"),
        ("11.02.01.003", "3"),
    ],
)
def test_search_leads_to_a_station(site: str, context: BrowserContext, text: str, number: str) -> None:
    """A station's number beside a name, or behind a village's code, leads to the station's own line, and its form is open there."""
    page, said = opened(context, f"{site}index.html")
    page.locator("#cari").fill(text)
    first = page.locator("[role=search] li a").first
    first.wait_for()
    assert first.inner_text() == f"TPS {number}, Desa Cempaka"
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site}ppwp/1102/110201.html#tps-{number}")
    station = page.locator(f"#tps-{number}")
    assert page.locator(".stations > div:visible").count() == 1
    assert station.is_visible()
    assert station.locator("xpath=preceding-sibling::details[1]").bounding_box()["y"] >= 0  # type: ignore[index]
    assert said == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("cempeka", "Desa Cempaka"),
        ("cempka", "Desa Cempaka"),
        ("cemppaka", "Desa Cempaka"),
        ("cepmaka", "Desa Cempaka"),
        ("kotajauh", "Desa Kota Jauh"),
        ("cempeka dua", "Desa Cempaka"),
        ("rw 05 cempaka", "Desa Cempaka"),
        ("rt 003/rw 05 cempaka", "Desa Cempaka"),
        ("xempaka", ""),
        ("Çémpàka", "Desa Cempaka"),
        ("kojau", "Desa Kota Jauh"),
    ],
)
def test_search_forgives(site: str, context: BrowserContext, text: str, found: str) -> None:
    """A letter wrong, missing, too many or misplaced behind a word's first, words written together, names shortened to their words' beginnings and neighbourhoods' numbers do not hide an area."""
    page, _ = opened(context, f"{site}index.html")
    page.locator("#cari").fill(text)
    page.locator("[role=search] p:not(:empty)").wait_for()
    assert page.locator("[role=search] li a").all_inner_texts()[:1] == [found] * bool(found)


def test_search_tells_names_as_pages_do(rehearsal: str, context: BrowserContext) -> None:
    """A name that begins with a word of its level's title stands without it, in what was found as in the page's heading."""
    page, _ = opened(context, f"{rehearsal}index.html")
    page.locator("#cari").fill("-9911")
    link = page.locator("[role=search] li a").first
    link.wait_for()
    assert link.inner_text() == "Kota Jauh"
    link.click()
    page.wait_for_url("**/n9911.html")
    assert page.locator("h1").inner_text() == "Kota Jauh"


@pytest.mark.parametrize(
    ("front", "text", "found"),
    [
        ("index.html", "-991", "Perwakilan Jauh"),
        ("en/index.html", "mission jauh", "Jauh, Mission"),
        ("index.html", "-99", "Luar Negeri"),
        ("index.html", "utara", "Provinsi Utara"),
    ],
)
def test_search_knows_titles_of_a_kind(front: str, text: str, found: str, rehearsal: str, context: BrowserContext) -> None:  # fmt: skip
    """What was found overseas stands with its kind's title in the page's language, or alone where that is empty."""
    page, _ = opened(context, rehearsal + front)
    page.locator("#cari").fill(text)
    link = page.locator("[role=search] li a").first
    link.wait_for()
    assert link.inner_text() == found


def test_arrows_move_through_what_was_found(site: str, context: BrowserContext) -> None:
    """ArrowDown goes from the box to the first area and to the next, ArrowUp back to the box."""
    page, _ = opened(context, f"{site}index.html")
    page.locator("#cari").fill("jauh")
    page.locator("[role=search] li a").first.wait_for()
    focused = []
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp", "ArrowUp"):
        page.keyboard.press(key)
        focused.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    first, second = page.locator("[role=search] li a").all_inner_texts()
    assert focused == [first, second, second, first, "cari"]


def test_search_asks_for_little(site: str, context: BrowserContext) -> None:
    """Nothing is asked for before the reader turns to the search; then the index and one shard."""
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url.removeprefix(site)))
    page, _ = opened(context, f"{site}index.html")
    assert [path for path in asked if path.startswith("search/")] == []
    page.locator("#cari").fill("el")
    page.locator("[role=search] li a").first.wait_for()
    assert [path for path in asked if path.startswith("search/")] == ["search/index.json", "search/0.json"]


@pytest.mark.parametrize(
    ("front", "told"), [("index.html", "1 Januari 2099 21.35 WIB"), ("en/index.html", "1 January 2099, 21:35 WIB")]
)
def test_one_clock_on_a_page(site: str, browser: Browser, front: str, told: str) -> None:
    """Hints tell times as the page does, in the election's zone, wherever the reader's device is."""
    context = browser.new_context(service_workers="block", timezone_id="America/New_York", locale="en-US")
    hint = {"release": 1, "expires": "2099-01-01T14:35:00Z", "frozen": {"since": "2099-01-01T14:35:00Z", "reason": "x"}}
    context.route("**/latest.json", lambda route: route.fulfill(json=hint))
    page, said = opened(context, site + front)
    page.locator("#due:not(:empty)").wait_for()
    assert told in page.locator("#due").inner_text()
    assert told in page.locator("#latest p").inner_text()
    zone = told[-3:]
    assert page.locator("time").first.inner_text().endswith(zone)
    assert said == []
    context.close()


def test_the_search_can_be_hit_and_read(site: str, context: BrowserContext) -> None:
    """The field of the search is at least 24 pixels tall (WCAG 2.2, 2.5.8), and has letters of the text's size: phones zoom into smaller ones."""
    page, _ = opened(context, f"{site}index.html")
    field = page.locator("#cari")
    assert field.evaluate("one => getComputedStyle(one).fontSize") == "16px"
    assert field.evaluate("one => one.offsetHeight") >= 24


def test_list_without_script(browser: Browser, site: str) -> None:
    """Without JavaScript the box is not there, and the list from A to Z leads to a village."""
    context = browser.new_context(java_script_enabled=False)
    page, _ = opened(context, f"{site}index.html")
    assert not page.locator("#cari").is_visible()
    page.locator('a[href="ppwp/a-z.html"]').click()
    page.get_by_role("link", name="Dua", exact=True).click()
    assert page.url == f"{site}ppwp/1102/1102.html"
    page.goto(f"{site}ppwp/1102/a-z.html")
    page.get_by_role("link", name="Cempaka").click()
    assert page.url == f"{site}ppwp/1102/110201.html"
    context.close()


def test_embed_on_another_site(site: str, context: BrowserContext, tmp_path: Path) -> None:
    """On another site a page for frames shows its results, styled and no higher than told; the site's other pages do not show there."""
    frames = "".join(
        f'<iframe name="{name}" src="{site}{path}" width="320" height="248"></iframe>'
        for name, path in (("embed", "embed/ppwp/11.html"), ("page", "ppwp/11.html"))
    )
    (tmp_path / "other.html").write_text(f"<!doctype html><title>x</title>{frames}")
    page = context.new_page()
    with another_site(tmp_path) as url:
        page.goto(f"{url}other.html")
    embed = page.frame("embed")
    assert embed is not None
    embed.locator("h1").wait_for()
    assert embed.locator("h1").inner_text() == "Utara"
    assert embed.evaluate("getComputedStyle(document.querySelector('table')).tableLayout") == "fixed"
    assert embed.evaluate("document.documentElement.scrollHeight") <= 248
    assert embed.evaluate("document.documentElement.scrollWidth") <= 320
    other = page.frame("page")
    assert other is not None
    assert other.url.startswith("chrome-error:")


@pytest.mark.parametrize("path", ["embed/ppwp/11.html", "embed/ppwp/11.en.html"])
def test_nothing_of_an_embed_is_cut(path: str, rehearsal: str, context: BrowserContext) -> None:
    """At a width of 320 pixels and with a long title, the mark of a test comes first and every line ends within the told height."""
    page, _ = opened(context, rehearsal + path)
    page.set_viewport_size({"width": 320, "height": 204 + 2 * 44})
    assert re.match("UJI COBA|TEST", page.locator("p").first.inner_text())
    assert page.evaluate("document.documentElement.scrollHeight") <= 204 + 2 * 44
    hidden = "all => all.filter((one) => one.scrollHeight > one.clientHeight + 1).map((one) => one.textContent)"
    assert page.locator("p, caption").evaluate_all(hidden) == []


def test_an_embed_shows_names_of_usual_length(rehearsal: str, context: BrowserContext) -> None:
    """At a width of 320 pixels a pair of candidates is named whole, beside figures of nine digits; a longer name is cut, and no row grows."""
    page, _ = opened(context, f"{rehearsal}embed/ppwp/11.html")
    page.set_viewport_size({"width": 320, "height": 204 + 2 * 44})
    page.locator("td:nth-child(2)").evaluate_all("all => all.forEach((one) => (one.textContent = '108.216.654'))")
    cut = "all => all.filter((one) => one.scrollWidth > one.clientWidth || one.scrollHeight > one.clientHeight + 1).map((one) => one.textContent)"
    for name, whole in (
        ("Rana Melati – Bagas Kenanga", True),
        ("Raden Ajeng Rana Melati – Kyai Haji Bagas Kenanga", False),
        ("R" * 80, False),
    ):
        page.locator("th bdi").evaluate_all("(all, name) => all.forEach((one) => (one.textContent = name))", name)
        assert (page.locator("th, th bdi, td").evaluate_all(cut) == []) == whole
        assert page.locator("td").evaluate_all(cut) == []
        assert page.locator("tr").evaluate_all("all => all.filter((one) => one.offsetHeight > 44).length") == 0


def test_an_embed_has_room_for_titles(rehearsal: str, context: BrowserContext) -> None:
    """At the width that oEmbed gives, a pair's names are whole with all their academic titles."""
    page, _ = opened(context, f"{rehearsal}embed/ppwp/11.html")
    page.set_viewport_size({"width": 480, "height": 336})
    name = page.locator("th bdi").first
    name.evaluate("one => { one.textContent = 'H. Anies Rasyid Baswedan, Ph.D. – Dr. (H.C.) H. A. Muhaimin Iskandar' }")
    cut = "one => [one, one.closest('th')].some(box => box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight + 1)"
    assert not name.evaluate(cut)
    assert page.locator("tr").first.evaluate("row => row.offsetHeight") <= 44


def test_an_embed_is_light_for_everybody(rehearsal: str, context: BrowserContext) -> None:
    """A reader's dark mode makes no black box of it in a newspaper's white page."""
    page, _ = opened(context, f"{rehearsal}embed/ppwp/11.html")
    page.emulate_media(color_scheme="dark")
    assert page.locator("body").evaluate("one => getComputedStyle(one).backgroundColor") == "rgb(255, 255, 255)"


def test_heads_of_the_data_page_stand_over_their_columns(site: str, context: BrowserContext) -> None:
    """In the table of data files each column's head is aligned as what stands below it."""
    page, _ = opened(context, f"{site}data/ppwp/0.html")
    sides = "row => [...row.cells].map((one) => getComputedStyle(one).textAlign)"
    assert page.locator("thead tr").evaluate(sides) == page.locator("tbody tr").first.evaluate(sides)


def test_stations_are_printed_whole(site: str, context: BrowserContext) -> None:
    """On paper every form is open, nobody is told to open it, and no row is smaller than its table's head."""
    page, _ = opened(context, f"{site}ppwp/1101/110101.html")
    form = page.locator("[id^=tps-]").first
    assert not form.is_visible()
    page.set_viewport_size({"width": 703, "height": 1000})  # A4 within its margins
    page.emulate_media(media="print")
    shown = "one => one.checkVisibility({ contentVisibilityAuto: true })"
    assert form.evaluate(shown)
    assert not page.locator(".stations > .quiet").is_visible()
    sizes = (
        "all => all.map((one) => ['thead th', 'td'].map((cell) => getComputedStyle(one.querySelector(cell)).fontSize))"
    )
    assert all(head == cell for head, cell in page.locator("table").evaluate_all(sizes))
    kept = "() => ['h2', 'h3', 'h4'].map((name) => getComputedStyle(document.body.appendChild(document.createElement(name))).breakAfter)"
    assert page.evaluate(kept) == ["avoid"] * 3  # no heading ends a sheet


def test_what_is_not_there(site: str, context: BrowserContext) -> None:
    """At any depth, the page of what is not there is styled and leads on."""
    for path in ("hilang.html", "ppwp/1101/hilang.html"):
        page, said = opened(context, site + path)
        assert page.get_by_role("heading", name="Page not found").is_visible()
        page.locator('a[href="/uji/ppwp/a-z.html"]').first.click()
        assert page.url == f"{site}ppwp/a-z.html"
        assert said == []
