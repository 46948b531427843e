"""Where a published election lies, and who reads it there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from verifier.fetcher import Fetcher

__all__ = ["HTTP_CONNECTIONS", "executor_for", "locate", "locate_bundle"]

HTTP_CONNECTIONS = 8
LARGE_SITE_ROLES = 40


def locate(place: str) -> tuple[str, Fetcher, Fetcher | None]:
    """The election's URL or folder, in one spelling, its fetcher, and that of the domain around it: the URL above, or
    DIR if that is the folder around the election. A mirror's folder will do, too."""
    from verifier.fetcher import DirectoryFetcher

    if place.startswith(("http://", "https://")):
        from verifier.http_fetcher import HttpFetcher

        place = place.rstrip("/")
        above = place.rpartition("/")[0]
        around = HttpFetcher(above) if not above.endswith("/") else None
        return place, HttpFetcher(place, connections=HTTP_CONNECTIONS), around
    folder = Path(place)
    if not folder.is_dir():
        raise click.UsageError(f"{place} is neither a folder nor a URL that begins with https:// or http://")
    if (folder / "mirror.toml").is_file():
        folder /= "public"
    pointer = Path("metadata", "timestamp.json")
    found = [folder] if (folder / pointer).is_file() else sorted(f.parent.parent for f in folder.glob(f"*/{pointer}"))
    if len(found) != 1:
        names = ", ".join(each.name for each in found) or "none"
        raise click.UsageError(f"{place} must be an election's folder, or hold exactly one; found: {names}")
    election = found[0].resolve()
    return str(election), DirectoryFetcher(election), None if found == [folder] else DirectoryFetcher(folder)


def locate_bundle(place: str) -> tuple[str, Fetcher]:
    """The same where a bundle will do, too: a file in which no file is an alias."""
    if not Path(place).is_file():
        found, fetcher, _ = locate(place)
        return found, fetcher
    from verifier.archive import ArchiveFetcher

    bundle = ArchiveFetcher(Path(place), in_folder=True)
    bundle.check()
    return str(Path(place).resolve()), bundle


def executor_for(place: str) -> Executor:
    """Threads wait for a network well. On a disk they only wait for each other (the interpreter's lock), so a large
    site is read by two processes, which are spawned: a fork would copy locks that other threads hold."""
    from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

    if "://" in place:
        return ThreadPoolExecutor(HTTP_CONNECTIONS)
    metadata = Path(place, "metadata")
    if not metadata.is_dir() or len(os.listdir(metadata)) < LARGE_SITE_ROLES or (os.cpu_count() or 1) < 2:
        return ThreadPoolExecutor(1)
    from multiprocessing import get_context

    executor = ProcessPoolExecutor(2, get_context("spawn"), _start_worker)
    for _ in range(2):  # they start while this process imports python-tuf
        executor.submit(int)
    return executor


def _start_worker() -> None:
    from verifier.processes import end_with_parent

    end_with_parent()
    import verifier.files  # noqa: F401
