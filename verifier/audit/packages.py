"""The packages that the log names, read from the public tree and held against their names. Work for any thread or process."""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from builder.errors import PackageError
from builder.recap import COVER, SIGNATURE, NamedFile, Package, parse_cover
from verifier import limits
from verifier.errors import VerificationError, VerifierError
from verifier.fetcher import Fetcher, MissingError
from verifier.files import MissingScan
from verifier.formats import leaves
from verifier.withheld import Withheld, judge_missing

__all__ = ["Found", "read_package"]


class Found(NamedTuple):
    """A package without its scans, None if it cannot be read; what does not hold; and which of its files are withheld."""

    package: Package | None
    problems: tuple[str, ...]
    withheld: tuple[Withheld, ...] = ()


def read_package(fetcher: Fetcher, leaf: leaves.Package, redacted: Mapping[str, str]) -> Found:
    """Read an accepted package. `redacted` has the orders that withhold files of it, hash by hash."""
    folder = f"packages/{leaf.package}"
    try:
        cover_bytes = _fetch(fetcher, f"{folder}/{COVER}", leaf.package, limits.COVER_FILE)
        cover = parse_cover(cover_bytes, f"{folder}/{COVER}")
        files = {COVER: cover_bytes, cover.rows.file: _named(fetcher, folder, cover.rows)}
        if leaf.signature is not None:
            files[SIGNATURE] = _fetch(fetcher, f"{folder}/{SIGNATURE}", leaf.signature, limits.COVER_FILE)
    except (VerifierError, PackageError) as error:
        return Found(None, (f"{folder}: {error}",))
    problems, missing = [], []
    for scan in cover.scans:
        path = f"{folder}/{scan.file}"
        try:
            _named(fetcher, folder, scan)
        except MissingError:
            missing.append(MissingScan(path, leaf.package, scan.sha256))
        except VerifierError as error:
            problems.append(f"{path}: {error}")
    withheld, failures = judge_missing(missing, fetcher, lambda _, file: redacted.get(file))
    problems += [f"{failure.path}: {failure.what}" for failure in failures]
    return Found(Package(cover, files, folder), tuple(problems), withheld)


def _named(fetcher: Fetcher, folder: str, file: NamedFile) -> bytes:
    return _fetch(fetcher, f"{folder}/{file.file}", file.sha256, file.length)


def _fetch(fetcher: Fetcher, path: str, sha256: str, length: int) -> bytes:
    data = fetcher.fetch(path, length)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise VerificationError(f"{path} is not the file that it is named by")
    return data
