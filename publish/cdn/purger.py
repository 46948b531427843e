"""Tells a target's CDN what a release changed, and remembers what it could not be told.

A purge that fails never fails a release: the site is whole, and every alias and pointer has its `max-age`. It is said, kept in
`build/targets/<name>/purge.json`, and done first at the next run.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from builder import durable
from builder.pack import pack_names, read_index
from publish.cdn.batches import POINTERS, CloudFront, Place, Purge, asked_as, requests
from publish.cdn.send import Sender
from publish.errors import KeyFileError
from publish.progress import Stages
from publish.release.draft import Draft
from publish.signing.keys import read_secret_file
from publish.workspace import Workspace
from verifier.files import object_path
from verifier.log import CHECKPOINT
from verifier.printable import say

__all__ = ["Purger", "open_purgers"]

SHOWN = 3  # different problems that are told


class _Kept(msgspec.Struct, frozen=True):
    reference: str
    paths: list[str]


class Purger:
    """One target's CDN. `folder` is that of the target in `build/`, header files are relative to `directory`."""

    def __init__(
        self, name: str, config: Purge, place: Place, folder: Path, directory: Path, stages: Stages, sender: Sender
    ) -> None:
        self.name = name
        self._purged, self._left, self._problems = 0, 0, dict[str, None]()
        self._config, self._place, self._file, self._directory = config, place, folder / "purge.json", directory
        self._stages, self._sender = stages, sender

    def release(self, draft: Draft, more: Iterable[str], timestamp: int) -> None:
        """Forget what a draft changed and `more` (relative to the election's folder), all of which is shown now under this version of the timestamp."""
        changed = [*_aliases(draft), *more, *POINTERS, CHECKPOINT]
        self._forget(asked_as(self._place.election, changed), str(timestamp))

    def renew(self, timestamp: int) -> None:
        """Forget the pointers, unless it is configured off, and what the last run could not."""
        self._forget(asked_as(self._place.election, POINTERS) if self._config.on_renew else [], str(timestamp))

    def repair(self, paths: Sequence[str], reference: str) -> str:
        """Forget files (relative to the election's folder) whose caches may hold a stranger's bytes; what came of it, in words.

        Nothing is kept for the next run: a guard that finds them wrong again asks again.
        """
        left = self._send(_Kept(reference, asked_as(self._place.election, paths)), lambda steps: None)
        if not left:
            return "purged from the CDN"
        return f"the CDN was not purged: {'; '.join([*self._problems][:SHOWN])}"

    def told(self) -> dict[str, Any]:
        """What this run did, for JSON: numbers of paths `purged` and `kept` for the next run, and `problems`."""
        return {"purged": self._purged, "kept": self._left, "problems": [*self._problems][:SHOWN]}

    def _forget(self, paths: Sequence[str], reference: str) -> None:
        kept, new = self._kept(), _Kept(reference, [*paths])
        count = len(kept.paths) + len(new.paths)
        if not count:
            return
        with self._stages.stage("purge", count, of=self.name) as advance:
            again = self._send(kept, advance)
            left = sorted({*again, *self._send(new, advance)})
        # What only the last push's requests are made of is asked for with their own reference again.
        self._keep(_Kept(kept.reference if left == again else reference, left))
        self._purged, self._left = self._purged + count - len(left), len(left)
        if left:
            say(
                f"WARNING: {self.name}: {len(left)} of {count} paths were not purged from the CDN, which may show their old copies for as "
                f"long as their max-age; the next run does it. {'; '.join([*self._problems][:SHOWN])}",
                err=True,
            )

    def _send(self, wanted: _Kept, advance: Callable[[int], None]) -> list[str]:
        """Send what a list of paths needs; returns those that failed, sorted."""
        try:
            secrets = {name: self._secret(file) for name, file in getattr(self._config, "headers", {}).items()}
        except KeyFileError as error:
            self._problems[str(error)] = None
            return sorted(wanted.paths)
        found = requests(self._config, wanted.paths, self._place, wanted.reference, secrets) if wanted.paths else ()
        left: set[str] = set()
        for request, problem in self._sender.send(found, advance):
            self._problems[problem] = None
            left.update(request.paths)
        return sorted(left)

    def _secret(self, file: str) -> str:
        value = read_secret_file(self._directory / file).decode("latin-1").strip()
        if not value or not value.isprintable():
            raise KeyFileError(f"{file} must hold one line, the value of a header")
        return value

    def _kept(self) -> _Kept:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=_Kept)
        except (OSError, ValueError):
            return _Kept("", [])

    def _keep(self, kept: _Kept) -> None:
        if kept.paths:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            durable.write_file(self._file, msgspec.json.encode(kept))
        else:
            self._file.unlink(missing_ok=True)


def open_purgers(workspace: Workspace, stages: Stages) -> dict[str, Purger]:
    """The CDNs that the configuration names, by target."""
    purgers = {}
    for name, target in workspace.config.targets.items():
        if (config := target.purge) is None:
            continue
        place = Place(target.urls, workspace.definition.election.id)
        sender = Sender()
        if isinstance(config, CloudFront):
            sender = Sender(distribution=config.distribution, profile=config.profile or target.profile)
        folder = workspace.build / "targets" / name
        purgers[name] = Purger(name, config, place, folder, workspace.directory, stages, sender)
    return purgers


def _aliases(draft: Draft) -> Iterator[str]:
    """The aliases that a draft changes, those of signatures too; relative to the election's folder."""
    for pack in pack_names(draft.files):
        signed = {entry.path for entry in read_index(draft.signatures, pack)} if draft.has_signatures(pack) else set()
        for entry in read_index(draft.files, pack):
            yield entry.path
            if f"{object_path(entry)}.minisig" in signed:
                yield f"{entry.path}.minisig"
