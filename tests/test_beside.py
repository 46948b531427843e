"""What stands beside results in a published site, after a correction: data, feeds, embeds, search, and the pages that lead to them."""

import gzip
import hashlib
import io
import json
import re
import subprocess
import sys
import warnings
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import polars as pl
import pytest

from builder.election import load_definition
from builder.letters import letters_page
from builder.pages import Pages
from builder.search import search_files
from builder.templates import read_templates
from publish.cli.keys import create_keys
from publish.workspace import Workspace
from tests.election import ELECTION, NIGHT, correction, first_packages, minutes, package, row, write_definition
from tests.publish.workspace import copy_tree, deliver, publish
from verifier.headers import EMBED_POLICY, content_type, headers_for

TEMPLATES = Path(sys.modules["builder"].__path__[0]).parent / "site_templates"
ADDRESS = "https://hasil.example.org/uji/"
MORE = f'date = 2026-11-03\naddress = "{ADDRESS}"\ncontact = "mailto:halo@example.org"\nlanguages = ["id", "en"]\ncards = ["id", "en"]'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two releases: the first counts, in one village of 61 stations, then a correction of one station, made with what the first one listed."""
    workspace = tmp_path_factory.mktemp("beside")
    write_definition(workspace / "content", ELECTION.replace("date = 2026-11-03", MORE))
    (workspace / "terbit.toml").write_text("workers = 1\n")
    create_keys(Workspace(workspace), NIGHT)
    many = package("1201", [row("120103", station, 100, 90) for station in range(4, 62)])
    deliver(workspace, first_packages() | {"many": many})
    publish(workspace)
    deliver(workspace, {"corrected": correction()})
    publish(workspace, NIGHT + minutes(5))
    return workspace / "public" / "uji"


def read(site: Path, path: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((site / path).read_bytes())
    return found


def test_data_package(site: Path) -> None:
    """The Data Package of the second release has every data file with the length and hash that it has, changed or not."""
    package = read(site, "data/ppwp/0.datapackage.json")
    resources = {one["path"]: one for one in package["resources"]}
    there = {path.name for path in (site / "data" / "ppwp").iterdir() if not path.name.endswith((".html", ".jsonld", ".datapackage.json"))}  # fmt: skip
    assert resources.keys() == there
    for name, one in resources.items():
        data = (site / "data" / "ppwp" / name).read_bytes()
        assert (one["bytes"], one["hash"]) == (len(data), f"sha256:{hashlib.sha256(data).hexdigest()}")
        if name.endswith(".csv.gz"):
            header = gzip.decompress(data).split(b"\n", 1)[0].decode().split(",")
            assert [field["name"] for field in one["schema"]["fields"]] == header
    assert package["version"] == "2"
    assert re.fullmatch(r"[a-z0-9-]+", package["name"])
    assert len({one["name"] for one in package["resources"]}) == len(resources)


def test_data_have_the_results_figures(site: Path) -> None:
    """The tables' sums are those of the signed results files, area by area."""
    areas = pl.concat([pl.read_parquet(io.BytesIO(path.read_bytes())) for path in sorted(site.glob("data/ppwp/*.areas.parquet"))])  # fmt: skip
    shown = {one["area"]: one for one in areas.iter_rows(named=True)}
    results = [read(site, path.relative_to(site).as_posix()) for path in site.glob("ppwp/**/*.json")]
    assert len(results) == len(shown) == 16
    for one in results:
        row = shown[one["area"]["code"]]
        assert [row["votes_1"], row["votes_2"]] == one["count"]["votes"]
        assert (row["reported"], row["release"]) == (one["stations"]["reported"], one["release"])
        assert [row["recap_votes_1"], row["recap_votes_2"]] == (one["recap"]["votes"] if one["recap"] else [None, None])
    stations = pl.concat([pl.read_parquet(io.BytesIO(path.read_bytes())) for path in sorted(site.glob("data/ppwp/*.stations.parquet"))])  # fmt: skip
    assert stations["votes_1"].sum() == shown["0"]["votes_1"]


def test_dataset(site: Path) -> None:
    """The page of the data holds schema.org's description, whose addresses and hashes are those of the files."""
    told = read(site, "data/ppwp/0.dataset.jsonld")
    page = (site / "data" / "ppwp" / "0.html").read_text()
    inside = re.search(r'<script type="application/ld\+json">(.*?)</script>', page, re.DOTALL)
    assert inside
    assert json.loads(inside[1]) == told
    for one in told["distribution"]:
        data = (site / one["contentUrl"].removeprefix(ADDRESS)).read_bytes()
        assert one["sha256"] == hashlib.sha256(data).hexdigest()
        assert one["name"] in page


def test_feeds(site: Path) -> None:
    """Both feeds are sound Atom in both languages; the correction is told with old and new figures, and leads to its area's page."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        feedparser = pytest.importorskip("feedparser")
        feeds = {path.name: feedparser.parse(path.read_bytes()) for path in sorted((site / "feeds").iterdir())}
    assert feeds.keys() == {"releases.atom", "releases.en.atom", "corrections.atom", "corrections.en.atom"}
    for name, feed in feeds.items():
        assert not feed.bozo
        assert feed.version == "atom10"
        assert feed.feed.id.startswith("urn:uuid:")
        assert [one.href for one in feed.feed.links if one.rel == "self"] == [f"{ADDRESS}feeds/{name}"]
    assert [one.title for one in feeds["releases.atom"].entries] == ["Rilis 2", "Rilis 1"]
    (entry,) = feeds["corrections.en.atom"].entries
    assert entry.updated == "2026-11-03T12:05:00Z"
    assert "1. Satu: 100 → 80" in entry.content[0].value
    assert (site / entry.link.removeprefix(ADDRESS)).is_file()
    ids = [one.id for feed in feeds.values() for one in (feed.feed, *feed.entries)]
    assert len(set(ids)) == len(ids)


def test_cards(site: Path) -> None:
    """Areas down to the shard level have a card in each language, named by their pages; the correction made those anew that it touched, and no other."""
    cards = {path.relative_to(site).as_posix() for path in (site / "embed").rglob("*.png")}
    areas = ("0", "11", "12", "n99", "1101/1101", "1102/1102", "1201/1201", "n9901/n9901")
    assert cards >= {f"embed/ppwp/{area}{language}.png" for area in areas[:3] for language in ("", ".en")}
    named = {}
    for page in [
        *site.glob("ppwp/**/*.html"),
        *site.glob("en/ppwp/**/*.html"),
        site / "index.html",
        site / "en" / "index.html",
    ]:
        text = page.read_text()
        if found := re.search('<meta property="og:image" content="([^"]*)">', text):
            named[page.relative_to(site).as_posix()] = found[1]
            assert '<meta name="twitter:card" content="summary_large_image">' in text
    assert {image.removeprefix(ADDRESS) for image in named.values()} == cards
    assert named["en/index.html"] == named["en/ppwp/0.html"] == f"{ADDRESS}embed/ppwp/0.en.png"
    assert not any(page.endswith("110101.html") for page in named)
    objects = {path.name.partition(".")[2] for path in (site / "targets" / "embed").rglob("*.png")}
    assert objects == {path.rpartition("/")[2] for path in cards}
    made = {path: len(list((site / "targets" / path).parent.glob(f"*.{Path(path).name}"))) for path in cards}
    again = {f"embed/ppwp/{area}{language}.png" for area in ("0", "11", "1101/1101") for language in ("", ".en")}
    assert made == {path: 2 if path in again else 1 for path in cards}


@pytest.mark.parametrize("command", ["audit", "publish"])
def test_cards_without_the_renderer(site: Path, tmp_path: Path, command: str) -> None:
    """Where what draws cards is not installed, auditor and publisher are told which package that is; the release is accused of nothing, and none is made."""
    workspace = site.parents[1]
    (tmp_path / "resvg_py.py").write_text("raise ImportError('no such wheel')\n")
    words = {
        "audit": ["verifier", "audit", str(site.parent), "--root", str(workspace / "keys/metadata/1.root.json"), "--state", str(tmp_path / "state"), "--now", "2026-11-03T12:10:00Z"],
        "publish": ["publish", "publish", "-C", str(copy_tree(workspace, tmp_path / "workspace"))],
    }[command]  # fmt: skip
    run = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from {words[0]}.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", run, *words[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert (
        "resvg-py, which draws cards and thumbnails, cannot be used here (no such wheel); install terbit again"
        in done.stderr
    )
    assert "Traceback" not in done.stderr


def test_openapi(site: Path) -> None:
    """The description of the GETs is valid OpenAPI 3.1; every published file is described by one path of it, with its content type."""
    told = read(site, "openapi.json")
    validator = pytest.importorskip("openapi_spec_validator")
    validator.OpenAPIV31SpecValidator(told, base_uri=f"{site.as_uri()}/openapi.json").validate()
    wrong = {name: types for name in sorted(_names(site)) for types in [described(told, name)] if types != {content_type(f"uji/{name}").partition(";")[0]}}  # fmt: skip
    assert wrong == {}
    domain = {path.relative_to(site.parent).as_posix() for path in site.parent.rglob("*") if path.is_file()}
    assert domain - {f"uji/{name}" for name in _names(site)} == {"index.html", ".well-known/security.txt"}


def test_openapi_describes_nothing_else(site: Path) -> None:
    """Each path of the description has files in the site, but for what this election has none of; a path that the format does not know has no description."""
    told = read(site, "openapi.json")
    names, patterns = _names(site), _patterns(told)
    idle = {path for path, pattern in patterns.items() if not any(map(pattern.fullmatch, names))}
    aliases = {path for path in idle if not path.startswith("/targets/")}
    assert aliases == {
        *(f"/data/{{contest}}/{{shard}}/{{area}}.{end}" for end in ("areas.csv.gz", "areas.parquet", "stations.csv.gz", "stations.parquet")),
        *(f"/data/{{contest}}/{{shard}}/{{area}}.{end}" for end in ("cdf.json", "datapackage.json", "dataset.jsonld", "html", "en.html")),
        "/en/{page}.html", "/trust/areas.csv.gz", "/trust/map.topojson", "/trust/allowed_signers",
        *(f"/packages/{{package}}/{name}" for name in ("recap.toml.sig", "{scan}", "{authority}.order.txt")),
        *(f"/log/tile/{kind}/{tile}" for kind in ("{level}", "entries") for tile in ("{tile}", "x{thousands}/{tile}", "x{thousands}/{tile}.p/{width}")),
    }  # fmt: skip
    objects = {
        f"/targets/{folder}/{{sha256}}.{name}" for folder, _, name in (path[1:].rpartition("/") for path in aliases)
    }
    full = "/targets/packs/{sha256}.{release}-{packed}-{number}.tar"
    assert idle - aliases == {full, *(path for path in objects if path.split("/")[2] in {"data", "en", "trust"})}
    for group, types in (("ppwp", {"application/x-tar"}), ("site", {"application/x-tar"}), ("dpr", set())):
        assert described(told, f"targets/packs/{'a' * 64}.2-{group}-1.tar") == types
    package = f"packages/{'a' * 64}"
    assert described(told, f"{package}/Scan-1.JPG") == {"image/jpeg", "image/png", "image/webp", "application/pdf"}
    assert described(told, f"{package}/recap.toml.sig") == {"text/plain"}
    for name in ("ppwp/11/1101/110101.json", "private.json", "pegawai/11.json", "ppwp/-99.json", f"{package}/rows.csv.html"):  # fmt: skip
        assert described(told, name) == set()


def _names(site: Path) -> set[str]:
    return {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}


def _patterns(told: dict[str, Any]) -> dict[str, re.Pattern[str]]:
    parameters = told["components"]["parameters"]
    parts = {path: re.split(r"{(\w+)}", path.removeprefix("/")) for path in told["paths"]}
    return {
        path: re.compile("".join(parameters[part]["schema"]["pattern"][1:-1] if place % 2 else re.escape(part) for place, part in enumerate(some)))
        for path, some in parts.items()
    }  # fmt: skip


def described(told: dict[str, Any], name: str) -> set[str]:
    """The content types of the one path that describes a file; as OpenAPI says, one without parameters goes before."""
    fitting = [f"/{name}"] if f"/{name}" in told["paths"] else [path for path, pattern in _patterns(told).items() if pattern.fullmatch(name)]  # fmt: skip
    assert len(fitting) < 2, fitting
    return {kind for path in fitting for kind in told["paths"][path]["get"]["responses"]["200"]["content"]}


class _Links(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.ids: set[str | None] = set()
        self.scripts = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.found += [value for name, value in attrs if name in {"href", "src"} and value]
        self.ids |= {value for name, value in attrs if name == "id"}


PAGES = (
    "index.html",
    "en/index.html",
    "404.html",
    "gone.html",
    "ppwp/a-z.html",
    "en/ppwp/a-z.html",
    "ppwp/1101/a-z.html",
    "en/ppwp/n991/a-z.html",
)
PAGES += ("data/ppwp/0.html", "data/ppwp/0.en.html", "embed/ppwp/0.html", "embed/ppwp/1101/1101.en.html")


@pytest.mark.parametrize("path", PAGES)
def test_links_lead_somewhere(site: Path, path: str) -> None:
    """Every link of these pages leads to a file of the site, or to a place on the page."""
    assert broken_links(site, path) == []


def broken_links(site: Path, path: str) -> list[str]:
    """The links of a page that lead neither to a file of the site nor to a place on the page."""
    links, broken = _Links((site / path).read_text()), []
    for href in links.found:
        address = urlsplit(urljoin(f"http://x/uji/{path}", href))
        is_here = address.netloc != "x" or (site.parent / unquote(address.path[1:])).is_file()
        if not (href[1:] in links.ids if href.startswith("#") else is_here):
            broken.append(href)
    return broken


def test_shapes_are_drawn(site: Path) -> None:
    """No page shows the code of a shape as text: paths stand in attributes only."""
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 50
    assert [path for path in pages if re.search(r">[^<]*\bM-?[\d.]+ -?[\d.]+[a-zA-Z]", _body(path))] == []


def _body(path: Path) -> str:
    """A page's markup without what is not shown as text."""
    return re.sub(r"<(style|script|pre)\b.*?</\1>", "", path.read_text(), flags=re.DOTALL)


def test_every_area_is_listed(site: Path) -> None:
    """From A to Z: the contest's list has every area down to the regencies, each regency's list all areas in it."""
    pages = {path for path in (site / "ppwp").rglob("*.html") if path.name != "0.html" and "-" not in path.name}
    listed = {
        (path.parent / href).resolve()
        for path in (site / "ppwp").rglob("a-z.html")
        for href in _Links(path.read_text()).found
    }
    assert {path.resolve() for path in pages} <= listed


def test_embeds(site: Path) -> None:
    """Pages for frames: no script, only they may be framed, of the height that the oEmbed answer tells, for areas down to the regencies."""
    embeds = sorted(path for path in (site / "embed").rglob("*.html"))
    assert len(embeds) == 2 * (1 + 3 + 4)
    for path in embeds:
        links = _Links(path.read_text())
        assert links.scripts == 0
        name = path.relative_to(site.parent).as_posix()
        assert headers_for(name)["Content-Security-Policy"] == EMBED_POLICY
        told = json.loads(path.with_suffix(".json").read_bytes())
        assert (told["version"], told["type"], told["height"]) == ("1.0", "rich", 204 + 2 * 44)
        assert f'src="{ADDRESS}{path.relative_to(site).as_posix()}"' in told["html"]
    framed = [path for path in site.rglob("*.html") if "frame-ancestors *" in headers_for(path.relative_to(site.parent).as_posix())["Content-Security-Policy"]]  # fmt: skip
    assert sorted(framed) == embeds


def test_embed_shows_the_results(site: Path) -> None:
    """A page for frames has the votes of its results file, and the mark of a test where it is one."""
    page = (site / "embed" / "ppwp" / "11.html").read_text()
    results = read(site, "ppwp/11.json")
    assert any(results["count"]["votes"])
    for votes in results["count"]["votes"]:
        assert f"<td>{votes:,}".replace(",", ".") in page


@pytest.mark.parametrize(
    ("path", "way", "level", "area"),
    [
        ("ppwp/a-z.html", ["Beranda", "Daftar A–Z"], "Kabupaten, Utara", "0.html"),
        ("en/ppwp/1101/a-z.html", ["Home", "A to Z", "Satu"], "Village, Satu", "1101.html"),
    ],
)
def test_lists_tell_where_one_is(site: Path, path: str, way: list[str], level: str, area: str) -> None:
    """The way to a list from A to Z names each step once, the last one the list's own area, whose results one link shows; beside each area stand its level and the area above it."""
    text = (site / path).read_text()
    crumbs = re.search(r'<nav class="crumbs".*?</nav>', text, re.DOTALL)
    assert crumbs
    assert re.findall(r">([^<>\n]+)<?", re.sub("</?bdi>", "", crumbs[0])) == way
    assert f"<small>{level}</small>" in text
    assert f'<p><a href="{area}">' in text


def test_for_visitors(site: Path) -> None:
    """security.txt has contact and end, robots.txt names the sitemap, and the sitemap's addresses are pages."""
    security = (site / "security.txt").read_text()
    assert "Contact: mailto:halo@example.org\nExpires: 2027-11-01T00:00:00Z\n" in security
    assert (site.parent / ".well-known" / "security.txt").read_text() == security
    assert f"Sitemap: {ADDRESS}sitemap.xml" in (site / "robots.txt").read_text()
    addresses = re.findall("<loc>(.*?)</loc>", (site / "sitemap.xml").read_text())
    assert len(addresses) == 1 + 8
    assert all((site / address.removeprefix(ADDRESS)).is_file() for address in addresses)


TITLED = 'titles = { provinsi = { id = "", en = "" }, kabupaten = { id = "Perwakilan", en = "Mission" } }'


def test_lists_and_search_know_titles_of_a_kind(tmp_path: Path) -> None:
    """Beside an overseas area the lists have its kind's title, or the area above alone where that is empty; the search index tells the kind, and what words to leave out."""
    languages = ELECTION.replace("date = ", 'languages = ["id", "en"]\ndate = ')
    write_definition(tmp_path, languages.replace("[kinds.overseas]", f"[kinds.overseas]\n{TITLED}"))
    definition = load_definition(tmp_path)
    contest, areas = definition.election.contests[0], definition.areas
    pages = Pages(read_templates(TEMPLATES), definition.election)
    _, listed = letters_page(definition, contest, range(len(areas)), pages)
    page = listed.decode()
    assert "<bdi>Jauh</bdi></a> <small>Perwakilan, Luar Negeri</small>" in page
    assert "<bdi>Luar Negeri</bdi></a> <small>Contoh</small>" in page
    assert "<bdi>Utara</bdi></a> <small>Provinsi, Contoh</small>" in page
    files = {path: json.loads(data) for path, data in search_files(definition)}
    index, entries = files["search/index.json"], files["search/0.json"]["entries"]
    assert {one[0]: one[4:] for one in index["areas"]} == {
        code: ["overseas"] if code.startswith("-") else [] for code in ("0", "11", "12", "-99", "1101", "1102", "1201", "-991")
    }  # fmt: skip
    assert {one[0]: one[5:] for one in entries}["-9911"] == ["overseas"]
    assert {one[0]: one[5:] for one in entries}["110101"] == []
    assert {"perwakilan", "mission"} <= set(index["words"])


def test_search_leads_to_pages(site: Path) -> None:
    """Every area stands in the search index, and leads to its page."""
    index = read(site, "search/index.json")
    entries = [entry for number in range(len(index["shards"])) for entry in read(site, f"search/{number}.json")["entries"]]  # fmt: skip
    levels = {"country", "desa", "kabupaten", "negara", "province", "provinsi", "regency", "village"}
    assert set(index["words"]) == levels | {"kab", "kec", "kecamatan", "kel", "kelurahan", "prov"}
    codes = [code for code, *_ in index["areas"]] + [code for code, *_ in entries]
    assert sorted(set(codes)) == sorted(one["area"]["code"] for one in (json.loads(path.read_bytes()) for path in site.glob("ppwp/**/*.json")))  # fmt: skip
    for code, _, _, place, level in entries:
        assert level == 3
        shard = index["areas"][place][0].replace("-", "n")
        assert (site / "ppwp" / shard / f"{code.replace('-', 'n')}.html").is_file()
