"""Packs before the guard: too large to be held, and watched like all else."""

import hashlib
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from publish.guard.inventory import BucketInventory, Found, LocalInventory
from publish.guard.watch import open_inventories
from publish.workspace import Workspace
from tests.election import NIGHT, correction, minutes
from tests.publish.test_guard import Place, folder, look, place
from tests.publish.workspace import deliver, publish
from tests.storage import BUCKET, Server
from verifier.headers import cache_control, content_type

__all__ = ["folder", "place"]

pytestmark = pytest.mark.usefixtures("credentials")
PACKS = "targets/packs/"


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of files that were held, as they come."""
    paths: list[str] = []
    for kind in (LocalInventory, BucketInventory):

        def read(
            self: LocalInventory, wanted: Iterable[tuple[str, int]], _read: object = kind.read
        ) -> Iterator[tuple[str, Found | None]]:
            some = list(wanted)
            paths.extend(path for path, _ in some)
            return _read(self, some)  # type: ignore[operator, no-any-return]

        monkeypatch.setattr(kind, "read", read)
    return paths


def packs(place: Place) -> list[str]:
    return sorted(path for path in place.files() if path.startswith(f"uji/{PACKS}"))


def test_right_packs_are_not_held(place: Place, held: list[str]) -> None:
    """A first look holds neither the newest release's packs nor earlier ones, and finds nothing wrong with them; a second one does not read them again."""
    deliver(place.directory, {"one": correction()})
    publish(place.directory, NIGHT + minutes(5))
    assert len(packs(place)) >= 2
    for _ in range(2):
        assert look(place.directory, now=NIGHT + minutes(5)) == []
    assert held
    assert not [path for path in held if path.startswith(PACKS)]


@pytest.mark.parametrize("which", ["newest", "earlier"])
@pytest.mark.parametrize("damage", ["altered", "shorter", "longer", "deleted"])
def test_a_wrong_pack_is_found(place: Place, which: str, damage: str) -> None:
    """Whatever a stranger does to a pack is told with the hash of his bytes; what he wrote in an earlier one's place is taken away."""
    before = set(packs(place))
    deliver(place.directory, {"one": correction()})
    publish(place.directory, NIGHT + minutes(5))
    path = next(path for path in packs(place) if (path in before) == (which == "earlier"))
    right = place.files()[path]
    wrong = {"altered": b"!" + right[1:], "shorter": right[:-1], "longer": right + b"\0"}.get(damage)
    if wrong is None:
        place.delete(path)
    else:
        place.write(path, wrong)
    found = look(place.directory, now=NIGHT + minutes(5))
    if (which, damage) == ("earlier", "deleted"):
        assert found == []
        return
    ((where, what, sha256),) = [(one.path, one.what, one.sha256) for one in found]
    assert where == path.removeprefix("uji/")
    assert what == ("deleted" if wrong is None else "altered" if which == "newest" else "added")
    assert sha256 == ("" if wrong is None else hashlib.sha256(wrong).hexdigest())
    assert place.files().get(path) == (wrong if which == "newest" else None)
    assert [one.what for one in look(place.directory, now=NIGHT + minutes(5))] == ([what] if which == "newest" else [])


@pytest.mark.parametrize(
    "headers", [{"ContentType": "text/html"}, {"ContentEncoding": "gzip"}], ids=["type", "encoding"]
)
def test_a_pack_with_wrong_headers(storage: Server, tmp_path: Path, headers: dict[str, str]) -> None:
    """A pack's headers are watched though its bytes are right."""
    place = Place(tmp_path, storage, f"packs{next(iter(headers)).lower()}")
    (path, *_) = packs(place)
    name = path.removeprefix("uji/")
    right = {"ContentType": content_type(path), "CacheControl": cache_control(path)}
    place.client.put_object(Bucket=BUCKET, Key=f"{place.name}/{path}", Body=place.files()[path], **{**right, **headers})
    ((where, what),) = [(one.path, one.what) for one in place.guard()]
    assert (where, what) == (name, "altered")
    assert place.client.head_object(Bucket=BUCKET, Key=f"{place.name}/{path}")["ContentType"] == content_type(path)


def test_a_sum_holds_little(place: Place, tmp_path: Path) -> None:
    """What is held of a file of which only the sum is wanted does not grow with it; one that is too long is not read."""
    data = bytes(range(256)) * 125_000
    place.write(
        f"uji/{PACKS}large.tar",
        data,
        ContentType="application/x-tar",
        CacheControl="public, max-age=31536000, immutable",
    )
    (inventory,) = open_inventories(Workspace(place.directory)).values()
    tracemalloc.start()
    found = inventory.sum(f"{PACKS}large.tar", len(data))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found is not None
    assert (found.sha256, found.length) == (hashlib.sha256(data).hexdigest(), len(data))
    assert most < len(data) / 8
    assert inventory.sum(f"{PACKS}large.tar", len(data) - 1) is None
    assert inventory.sum(f"{PACKS}none.tar", 1) is None
