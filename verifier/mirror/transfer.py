"""Bring the files of a verified release into a mirror's folder: objects, minisign signatures, recap packages.

Each is checked before it is put where it is served, and one that is there with the right bytes is not fetched again, so a
run that was broken off goes on where it stopped.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import TypeVar

from verifier import limits
from verifier.errors import VerificationError, VerifierError
from verifier.files import SignedFile, check_signature, named_packages, object_path
from verifier.mirror.budget import Budget
from verifier.mirror.folder import Folder
from verifier.mirror.metadata import right_bytes
from verifier.mirror.upstreams import Upstreams, worst
from verifier.packages import COVER, named_files
from verifier.results_signature import MinisignKeys
from verifier.withheld import Order, order_path

__all__ = ["Transfer"]

# A thread's share: small enough that a failure late in a large release still shows progress before it.
BATCH_SIZE = 64
T = TypeVar("T")


class Transfer:
    """One run's files."""

    def __init__(
        self,
        folder: Folder,
        upstreams: Upstreams,
        budget: Budget,
        executor: Executor,
        progress: Callable[[int, int], None],
    ) -> None:
        self._folder, self._upstreams, self._budget = folder, upstreams, budget
        self._executor, self._progress = executor, progress

    def check_space(self, files: Iterable[SignedFile]) -> int:
        """How many bytes the objects have that are not there yet; VerifierError if they cannot fit on the disk."""
        public = self._folder.public
        need = sum(file.length for file in files if not os.path.exists(public / object_path(file)))
        if need > (free := self._folder.free()):
            raise VerifierError(f"{self._folder.root} needs {need} bytes more, and the disk has {free} left")
        return need

    def file(self, file: SignedFile) -> bytes:
        """The right bytes of one file, whose object is there afterwards."""
        return self._get(object_path(file), file.length, file.sha256)

    def files(self, files: Sequence[tuple[SignedFile, bool]], keys: MinisignKeys) -> set[tuple[bytes, bytes]]:
        """Bring in objects, each with its signature where it is marked as a results file; the packages that they name
        (`named_packages`). A failure stops nothing else, so that the next run has less to do; the worst is raised at the end."""
        packages: set[tuple[bytes, bytes]] = set()

        def bring(one: tuple[SignedFile, bool]) -> None:
            file, is_results = one
            data = self.file(file)
            if is_results:
                self._signature(file, data, keys)
            if file.path.endswith(".json"):
                packages.update(named_packages(data))

        self._each(bring, files)
        return packages

    def packages(self, names: Sequence[tuple[str, str]], order: Order, *, thorough: bool) -> None:
        """Bring in recap packages; in place of a scan that an order withholds, the order. A package whose cover is there is there as a
        whole, unless it has to be looked at more thoroughly: the cover comes last."""
        self._each(partial(self._package, order=order, thorough=thorough), names)

    def _each(self, bring: Callable[[T], None], items: Sequence[T]) -> None:
        errors: list[VerifierError] = []

        def batch(start: int) -> int:
            part = items[start : start + BATCH_SIZE]
            for one in part:
                try:
                    bring(one)
                except VerifierError as error:
                    errors.append(error)
            return len(part)

        done = 0
        # Threads wait for a network well; what lies in packs on the disk they only wait for each other.
        each = map if self._upstreams.packs else self._executor.map
        for count in each(batch, range(0, len(items), BATCH_SIZE)):
            done += count
            self._progress(done, len(items))
        if errors:
            error = worst(errors)
            raise type(error)(
                f"{error}; {len(errors)} of {len(items)} could not be had. What is served stays as it was"
            )

    def _get(self, path: str, length: int, sha256: str) -> bytes:
        data = self._folder.read(path, sha256)
        if data is None:
            self._budget.take(length)
            data = self._upstreams.fetch(path, length, right_bytes(sha256))
            self._folder.add(path, data)
        return data

    def _signature(self, file: SignedFile, data: bytes, keys: MinisignKeys) -> None:
        path = object_path(file) + ".minisig"
        there = self._folder.read(path, max_length=limits.MINISIGN_FILE)
        if there is not None:
            try:
                check_signature(there, file.path, data, keys)
            except VerifierError:
                pass
            else:
                return
        self._budget.take(limits.MINISIGN_FILE)
        text = self._upstreams.fetch(
            path, limits.MINISIGN_FILE, lambda found: check_signature(found, file.path, data, keys)
        )
        self._folder.add(path, text)

    def _package(self, named: tuple[str, str], *, order: Order, thorough: bool) -> None:
        name, signature = named
        path = f"packages/{name}/{COVER}"
        cover = self._folder.read(path, name, limits.COVER_FILE)
        if cover is not None and not thorough:
            return
        whole = cover is not None
        if cover is None:
            self._budget.take(limits.COVER_FILE)
            cover = self._upstreams.fetch(path, limits.COVER_FILE, right_bytes(name))
        for file, sha256, length, scan in named_files(cover, signature):
            if file == COVER:
                raise VerificationError(f"{path} names itself")
            if scan and (withheld := order(name, sha256)) is not None:
                self._get(order_path(name, withheld), limits.ORDER_FILE, withheld)
            else:
                self._get(f"packages/{name}/{file}", length, sha256)
        if not whole:
            self._folder.put(path, cover)
