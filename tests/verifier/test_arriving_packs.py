"""Packs that come while a mirror does other things, and aliases that are linked from several threads."""

import errno
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.verifier.site_simulator import ELECTION, A, SiteServer, SiteSimulator
from tests.verifier.test_mirror import check_whole, make, run
from tests.verifier.test_packs import archive
from verifier.archive import ArchiveFetcher
from verifier.files import SignedFile
from verifier.mirror import unpack
from verifier.mirror.folder import Complete, Folder, Settings
from verifier.mirror.packs import Arriving


def test_what_is_there_and_what_is_waited_for() -> None:
    """Nobody waits for packs that he only looks for; who goes through them waits for each, and after the first that cannot be had for none."""
    first, second, go_on = ArchiveFetcher(Path("1")), ArchiveFetcher(Path("2")), threading.Event()

    def coming() -> Iterator[ArchiveFetcher]:
        yield first
        go_on.wait()
        yield second

    with ThreadPoolExecutor(1) as thread:
        packs = Arriving(thread, coming(), 4)
        assert next(iter(packs)) is first
        assert packs.here() == [first]
        go_on.set()
        assert list(packs) == packs.here() == [first, second]


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("lost", [1, 2])
def test_one_of_two_packs_is_missing(
    site: SiteSimulator,
    upstream: SiteServer,
    tmp_path: Path,
    lost: int,
    processes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the packs before a missing one hold is unpacked, and all else comes one by one."""
    monkeypatch.setattr(unpack, "MANY_BYTES", 0)
    monkeypatch.setattr(unpack.os, "sched_getaffinity", lambda pid: set(range(processes)))
    mirror = make(tmp_path / "mirror", site, upstream.url)
    run(mirror)
    before = set(site.tree)
    site.files["ppwp-11"][A] = site.results(A, votes=[3, 4])
    site.next_release()
    changed = {path: site.tree[path] for path in set(site.tree) - before if path.startswith("targets/ppwp")}
    half = sorted(changed)[: len(changed) // 2]
    shares = [{path: changed[path] for path in half}, {path: changed[path] for path in set(changed) - set(half)}]
    for number, share in enumerate(shares, 1):
        site.files["site"][f"packs/2-{number}.tar"] = archive(share)
    site.publish()
    del site.tree[site.object_of(f"packs/2-{lost}.tar")]
    upstream.asked.clear()
    run(mirror)
    alone = shares[1] if lost == 2 else changed
    assert set(upstream.asked) & set(changed) == set(alone)
    assert check_whole(mirror) == 2


@pytest.fixture
def interrupt() -> Iterator[Callable[[], None]]:
    """Ctrl-C; a program that runs in the background may have been started without it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield partial(signal.pthread_kill, threading.main_thread().ident, signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def test_who_leaves_early_waits_for_no_pack(
    site: SiteSimulator, upstream: SiteServer, interrupt: Callable[[], None], tmp_path: Path
) -> None:
    """A run that its operator breaks off ends at once: the pack that is just coming is let go of, no other is asked for, and nothing of them is to be seen."""
    mirror = make(tmp_path / "mirror", site, upstream.url)
    run(mirror)
    site.files["ppwp-11"][A] = site.results(A, votes=[3, 4])
    site.next_release()
    for number in (1, 2):
        site.files["site"][f"packs/2-{number}.tar"] = archive({f"{number}": bytes(100_000)})
    site.publish()
    first, second = (site.object_of(f"packs/2-{number}.tar") for number in (1, 2))
    upstream.slow[first] = interrupt
    with pytest.raises(KeyboardInterrupt):
        run(mirror)
    assert first in upstream.asked
    assert second not in upstream.asked
    assert not [*(mirror.public / "targets" / "packs").glob("*")]
    assert not [*(mirror.root / "incoming").iterdir()]
    assert check_whole(mirror) == 1


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    Folder.create(tmp_path, Settings(ELECTION, ("http://127.0.0.1:9/",)))
    return Folder(tmp_path)


@pytest.mark.parametrize("refusal", [None, errno.EMLINK, errno.EPERM])
def test_aliases_are_linked_again(folder: Folder, refusal: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """An alias that is its object already stays so, an object is never written to, and nothing is left on its way in."""
    if refusal is not None:

        def no_link(*words: object, **options: object) -> None:
            raise OSError(refusal, os.strerror(refusal))

        monkeypatch.setattr(os, "link", no_link)
    files = [(SignedFile(f"{name}.html", name * 64, 1), False) for name in "ab"]
    for file, _ in files:
        folder.add(f"targets/{file.sha256}.{file.path}", file.path[:1].encode())
    folder.begin()
    for _ in range(2):
        folder.show(files * 2)
    folder.end(Complete("", 1, 0, 2, 2, 0, {}))
    assert folder.read("a.html") == folder.read("targets/" + "a" * 64 + ".a.html") == b"a"
    assert folder.read("b.html") == folder.read("targets/" + "b" * 64 + ".b.html") == b"b"
    assert not [*(folder.root / "incoming").iterdir()]
