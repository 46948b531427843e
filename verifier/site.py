"""Check a whole site: every file that any role of the current release lists, at every place where it is served, and
every recap package that its results name; and what browsers are shown around them.

A name in a role's metadata counts only where a TUF search for it would end: `SignedRole.resolves` holds (every
delegation from the top covers it, no terminating role before it ends the search) and no other role lists it too.
Both are checked here for every listed name, so a stolen shard key cannot speak for another shard's files, and a
name that two roles claim is reported instead of being decided by order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from verifier import limits
from verifier.errors import StaleError, VerificationError, VerifierError
from verifier.fetcher import Fetcher, check_path
from verifier.files import Batch, BatchReport, Failure, MissingScan, Official, SignedFile, check_batch, is_stray
from verifier.formats.allowed_signers import AllowedSigners
from verifier.log import LogReport, check_log
from verifier.officials import SIGNERS_PATH
from verifier.packages import SIGNATURE, check_packages
from verifier.past_trust import check_past_trust
from verifier.public_log import check_public_log
from verifier.results_signature import MinisignKeys
from verifier.surroundings import DOMAIN_PAGES, check_domain, unlisted
from verifier.withheld import Order, Redactions, Withheld, judge_missing

if TYPE_CHECKING:
    from verifier.client import Client
    from verifier.delegation import SignedRole
    from verifier.tuf_api import TargetFile

__all__ = ["KEYS_PATH", "ROLES_WITHOUT_RESULTS", "SiteReport", "check_site", "check_whole_site", "signed_file"]

KEYS_PATH = "trust/minisign.json"
# Every other role is a group of contests or one of its shards, and its JSON files are results.
ROLES_WITHOUT_RESULTS = frozenset({"targets", "trust", "site"})
BATCH_SIZE = 128
PACKAGES_BATCH_SIZE = 16


@dataclass(frozen=True)
class SiteReport:
    """What was checked: `release` (the snapshot's version), signed as current until `expires`; numbers of `roles`,
    `files`, `length` (bytes of them), minisign `signatures` and recap `packages`; every failure; and paths that are
    there though no signed list names them, of which nothing else is known; the scans that logged orders withhold; where
    the release stands in the `log`."""

    release: int
    expires: datetime
    roles: int
    files: int
    length: int
    signatures: int
    packages: int
    failures: tuple[Failure, ...]
    unlisted: tuple[str, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    log: LogReport | None = None

    @property
    def exit_code(self) -> int:
        """0 if everything holds, 5 if some metadata has expired and nothing else is wrong, else 4."""
        if not self.failures:
            return 0
        stale = all(failure.stale for failure in self.failures)
        return StaleError.exit_code if stale else VerificationError.exit_code


def check_whole_site(
    client: Client,
    fetcher: Fetcher,
    executor: Executor,
    *,
    aliases: bool = True,
    signatures: bool = False,
    domain: Fetcher | None = None,
    folder: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, known: None,
) -> SiteReport:
    """What `check_site` says; that the release is in the log; and with `aliases`, that the log's own files there are right, and know of no
    newer offline-signed metadata."""
    logged, failures = None, []
    try:
        logged = check_log(client, fetcher)
    except VerifierError as error:
        failures = [Failure.of("log", error)]
    if logged is not None and aliases:
        failures = check_public_log(fetcher, logged.policy, logged.checkpoint)
        failures += check_past_trust(client, fetcher, logged, executor)
    report = check_site(
        client,
        fetcher,
        executor,
        aliases=aliases,
        signatures=signatures,
        domain=domain,
        folder=folder,
        order=Redactions(fetcher, logged.checkpoint.checkpoint if logged else None).order,
        progress=progress,
    )
    return replace(report, failures=(*failures, *report.failures), log=logged)


def check_site(
    client: Client,
    fetcher: Fetcher,
    executor: Executor,
    *,
    aliases: bool = True,
    signatures: bool = False,
    only: Mapping[str, Container[str]] | None = None,
    domain: Fetcher | None = None,
    folder: Path | None = None,
    order: Order = lambda package, file: None,
    progress: Callable[[int, int], None] = lambda done, known: None,
) -> SiteReport:
    """Check everything that the refreshed `client`'s release lists, with files from `fetcher`, on `executor`.

    `aliases`: also the copies at the paths that browsers use. `signatures`: also the minisign signature of each
    results file. `only`: no more than these roles, and of each these paths (what a publisher has just changed).
    `domain`: also the pages at the domain's root, from there. `folder`: where the files lie, to name those unlisted.
    `order`: which order withholds a file of a package (verifier.withheld.Redactions); where there is none, it must be there.
    A failure never stops the rest; `progress` is called with files checked and files known so far.
    """
    run = _Run(client, fetcher, executor, aliases, order, progress)
    if only is None:
        client.check_roots(failed=run.metadata_failed)
    keys = run.minisign_keys() if signatures else None
    for role in client.walk(failed=lambda name, error: run.metadata_failed(f"role {name}", error), only=only):
        paths = only.get(role.name, ()) if only is not None else role.targets.targets
        run.submit(role, paths, keys if role.name not in ROLES_WITHOUT_RESULTS else None)
    return run.finish(domain, folder)


class _Run:
    """One check under way."""

    def __init__(
        self,
        client: Client,
        fetcher: Fetcher,
        executor: Executor,
        aliases: bool,
        order: Order,
        progress: Callable[[int, int], None],
    ) -> None:
        self._client, self._fetcher, self._executor, self._aliases = client, fetcher, executor, aliases
        self._order, self._progress = order, progress
        self._owners: dict[str, str] = {}
        self._waiting: deque[Future[BatchReport]] = deque()
        self._failures: list[Failure] = []
        self._packages: set[tuple[bytes, bytes]] = set()
        self._officials: set[Official] = set()
        self._missing: list[MissingScan] = []
        self._domain_pages: list[SignedFile] = []
        self._roles = self._files = self._length = self._signatures = 0

    def minisign_keys(self) -> MinisignKeys | None:
        try:
            return MinisignKeys.parse(self._client.target(KEYS_PATH))
        except VerifierError as error:
            self._failures.append(Failure.of(KEYS_PATH, error)._replace(what=f"no signature could be checked: {error}"))
            return None

    def metadata_failed(self, name: str, error: VerifierError) -> None:
        self._failures.append(Failure.of(name, error))

    def submit(self, role: SignedRole, paths: Container[str], keys: MinisignKeys | None) -> None:
        self._roles += 1
        listed = role.targets.targets.items()
        files = [file for path, target in listed if path in paths and (file := self._accept(role, path, target))]
        self._domain_pages += [file for file in files if file.path in DOMAIN_PAGES]
        for start in range(0, len(files), BATCH_SIZE):
            batch = Batch(self._fetcher, files[start : start + BATCH_SIZE], self._aliases, keys)
            self._waiting.append(self._executor.submit(check_batch, batch))
        while self._waiting and self._waiting[0].done():
            self._collect()

    def _accept(self, role: SignedRole, path: str, target: TargetFile) -> SignedFile | None:
        """Return the file to fetch, or None and one failure more."""
        try:
            return signed_file(role, path, target, self._owners)
        except VerificationError as error:
            self._failures.append(Failure(path, str(error)))
            return None

    def _collect(self) -> None:
        report = self._waiting.popleft().result()
        self._files += report.files
        self._length += report.length
        self._signatures += report.signatures
        self._failures += report.failures
        self._packages |= report.packages
        self._officials |= report.officials
        self._missing += report.missing
        self._progress(self._files, len(self._owners))

    def _check_officials(self) -> None:
        """Online keys alone make nobody an official: who signed for which area must be what the offline keys have enrolled."""
        if not self._officials:
            return
        try:
            allowed = AllowedSigners.parse(self._client.target(SIGNERS_PATH))
        except VerifierError as error:
            self._failures.append(Failure.of(SIGNERS_PATH, error))
            return
        enrolled = {(area, signer.key.sha256) for signer in allowed.signers for area in signer.areas}
        self._failures += [
            Failure(
                f"packages/{one.package}/{SIGNATURE}",
                f"by a key that {SIGNERS_PATH} does not name for area {one.area!r}",
            )
            for one in sorted(self._officials)
            if (one.area, one.key) not in enrolled
        ]

    def finish(self, domain: Fetcher | None, folder: Path | None) -> SiteReport:
        others = tuple(unlisted(folder, self._owners)) if folder else ()
        if domain:
            self._failures += check_domain(domain, self._domain_pages)
        while self._waiting:
            self._collect()
        # Only now is it known which packages good results name: a name found in a bad file says nothing.
        packages = sorted((name.decode(), signature.decode()) for name, signature in self._packages)
        for start in range(0, len(packages), PACKAGES_BATCH_SIZE):
            batch = packages[start : start + PACKAGES_BATCH_SIZE]
            self._waiting.append(self._executor.submit(check_packages, self._fetcher, batch))
        while self._waiting:
            self._collect()
        self._check_officials()
        withheld, missing = judge_missing(self._missing, self._fetcher, self._order)
        return SiteReport(
            release=self._client.snapshot.version,
            expires=self._client.expires,
            roles=self._roles,
            files=self._files,
            length=self._length,
            signatures=self._signatures,
            packages=len(packages),
            failures=(*self._failures, *missing),
            unlisted=others,
            withheld=withheld,
        )


def signed_file(role: SignedRole, path: str, target: TargetFile, owners: dict[str, str]) -> SignedFile:
    """The file that `role` lists; VerificationError if its word for it counts for nothing.

    `owners`: which role listed each path before; this one is added.
    """
    sha256 = target.hashes.get("sha256")
    owner = owners.setdefault(path, role.name)
    check_path(path)
    if not role.resolves(path):
        raise VerificationError(f"listed by role {role.name}, which may not speak for it")
    if owner != role.name:
        raise VerificationError(f"listed by two roles, {owner} and {role.name}")
    if is_stray(path, role.targets.version, role.targets.targets):
        raise VerificationError(f"listed by role {role.name} below packs/, and is no pack of this release")
    if sha256 is None:
        raise VerificationError(f"listed by role {role.name} without a sha256")
    if target.length > limits.TARGET_FILE:
        raise VerificationError(f"listed with {target.length} bytes, at most {limits.TARGET_FILE} are allowed")
    return SignedFile(path, sha256, target.length)
