"""Elections of every shape of tree, from a village alone to five levels, with any level as the shard level: published, verified, recounted, browsed."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from publish.cli.keys import create_keys
from publish.workspace import Workspace
from tests.election import NIGHT, minutes, package, row, write_definition
from tests.publish.test_packages import verify
from tests.publish.workspace import deliver, publish
from tests.test_beside import broken_links

LEVELS = ("negara", "provinsi", "kabupaten", "kecamatan", "desa")
SHAPES = [("desa", "desa"), *((top, shard) for place, top in enumerate(LEVELS) for shard in LEVELS[place + 1 :])]


def areas(levels: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    """Code, parent and level of each area: two below each."""
    codes = [("3", "")]
    for level in levels:
        yield from ((code, parent, level) for code, parent in codes)
        codes = [(f"{code}{number}", code) for code, _ in codes for number in (1, 2)]


def make(folder: Path, top: str, shard: str) -> list[str]:
    """A workspace with a contest of the root and one of the last village; the villages' codes."""
    levels = LEVELS[LEVELS.index(top) :]
    tree = list(areas(levels))
    villages = [code for code, _, level in tree if level == "desa"]
    titles = ",".join(f'{{ id = "{level}", title = {{ id = "{level}", en = "{level}" }} }}' for level in levels)
    contests = "".join(
        f'[[contests]]\nid = "{name}"\ngroup = "{name}"\narea = "{area}"\ntitle = {{ id = "{name}", en = "{name}" }}\n'
        'candidates = [{ number = 1, name = "Satu" }, { number = 2, name = "Dua" }]\n'
        for name, area in (("ppwp", "3"), ("dprd", villages[-1]))
    )
    election = (
        f'id = "uji"\ndate = 2026-11-03\ntime_zones = ["Asia/Jakarta"]\nlanguages = ["id", "en"]\naddress = "https://example.org/uji/"\ncards = ["id"]\n'
        f'shard_level = "{shard}"\nlevels = [{titles}]\ntitle = {{ id = "Uji", en = "Test" }}\n[kinds.domestic]\n{contests}'
    )
    table = "".join(f"{code},{parent},{level},Desa {code},domestic,2\n" for code, parent, level in tree)
    write_definition(folder / "content", election, f"code,parent,level,name,kind,stations\n{table}")
    (folder / "terbit.toml").write_text("workers = 1\n")
    create_keys(Workspace(folder), NIGHT)
    return villages


@pytest.mark.parametrize(("top", "shard"), SHAPES, ids=map("-".join, SHAPES))
def test_any_tree_is_published(tmp_path: Path, top: str, shard: str) -> None:
    """Two releases of the tree pass client and audit, every link of their pages leads somewhere, and sums and tables are there."""
    villages = make(tmp_path, top, shard)
    counted = package("3", [row(code, number, 10, 20) for code in villages for number in (1, 2)], tier=top)
    deliver(tmp_path, {"count": counted})
    publish(tmp_path)
    deliver(tmp_path, {"mended": package("3", [row(villages[0], 2, 11, 20, revision=2)], tier=top, reason="recount")})
    report, _ = publish(tmp_path, NIGHT + minutes(5))
    assert report.refused == {}
    site = tmp_path / "public" / "uji"
    for command in ("site", "audit"):
        exit_code, told = verify(site / "packages", tmp_path, command)
        assert (exit_code, told["packages"]) == (0, 2), told
    (front,) = re.findall(r'href="(ppwp/[^"]*3)\.html"', (site / "index.html").read_text())[:1]
    results = json.loads((site / f"{front}.json").read_bytes())
    assert results["count"]["votes"] == [len(villages) * 20 + 1, len(villages) * 40]
    catalogue = json.loads((site / "data" / f"{front}.datapackage.json").read_bytes())
    assert all((site / "data" / f"{front}.html").with_name(one["path"]).is_file() for one in catalogue["resources"])
    tables = [one["schema"] for one in catalogue["resources"] if "stations" in one["name"]]
    assert tables
    assert all({*one["primaryKey"]} <= {field["name"] for field in one["fields"]} for one in tables)
    images = 'og:image" content="https://example.org/uji/([^"]*)'
    named = {image for path in site.glob("*/**/*.html") for image in re.findall(images, path.read_text())}
    assert named == {path.relative_to(site).as_posix() for path in (site / "embed").rglob("*.png")}
    last_village = 1
    levels = LEVELS[LEVELS.index(top) :]
    assert len(named) == sum(2**depth for depth in range(levels.index(shard) + 1)) + last_village
    pages = [path.relative_to(site).as_posix() for path in sorted(site.rglob("*.html")) if "targets" not in path.parts]
    assert len(pages) > 2 * 2 * len(villages)
    # The portal stands one folder higher, what stands for a page that is gone at that page's path.
    pages = [path for path in pages if path != "portal.html" and not path.startswith("gone")]
    assert {path: broken for path in pages if (broken := broken_links(site, path))} == {}
