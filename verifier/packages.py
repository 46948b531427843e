"""Check the recap packages that results name: their figures' sources, which anyone may recount.

A package's name is the SHA-256 of its cover `recap.toml`, and the cover names each other file with length and SHA-256, but for the
official's signature, which stands beside the name (docs/formats.md, "Recap package", "Results"): a signed results file that names a package binds every byte of it.
"""

import hashlib
import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from verifier import limits
from verifier.errors import FormatError, VerificationError, VerifierError
from verifier.fetcher import Fetcher, GaveUpError, MissingError
from verifier.files import BatchReport, Failure, MissingScan, Official
from verifier.formats.sshsig import SshSignature
from verifier.officials import namespace
from verifier.printable import counted

__all__ = ["COVER", "NamedFile", "check_packages", "named_files"]

COVER = "recap.toml"
SIGNATURE = "recap.toml.sig"
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# One `a.a.a.…` of 64 kilobytes makes tomllib take over two gigabytes: it remembers each beginning of a dotted key.
_DEEP_KEY = re.compile(
    rb"""^[ \t]*+\[{0,2}+(?:[ \t]*+(?:[\w-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')[ \t]*+\.){%d}"""
    % limits.TOML_KEY_PARTS_COUNT,
    re.MULTILINE,
)


class NamedFile(NamedTuple):
    """A file that a cover names, with hex SHA-256 and length in bytes; `scan`: an order may withhold it."""

    name: str
    sha256: str
    length: int
    scan: bool = False


def check_packages(fetcher: Fetcher, packages: Sequence[tuple[str, str]]) -> BatchReport:
    """Check every file of the packages with these names and signatures' hashes; a failure never hides the next one.

    A scan that is not there is no failure yet: `missing` has it.
    Which key signed for which area is reported; when, and whether the rows lie in that area, is for an audit to say.
    """
    failures: list[Failure] = []
    missing: list[MissingScan] = []
    officials: set[Official] = set()
    files = length = 0
    for number, (package, signature) in enumerate(packages):
        try:
            for data in _files(fetcher, package, signature, failures, missing, officials):
                files += 1
                length += len(data)
        except GaveUpError as error:
            left = len(packages) - number - 1
            failures.append(
                Failure(
                    f"packages/{package}",
                    f"not checked, nor what comes after it ({counted(left, 'package')}): {error}",
                    unanswered=True,
                )
            )
            break
    return BatchReport(files, length, 0, tuple(failures), officials=frozenset(officials), missing=tuple(missing))


def _files(
    fetcher: Fetcher,
    package: str,
    signature: str,
    failures: list[Failure],
    missing: list[MissingScan],
    officials: set[Official],
) -> Iterator[bytes]:
    """The good files of a package. Failures of the others are added to `failures`, scans that are not there to `missing`, who signed it to `officials`."""
    path = f"packages/{package}/{COVER}"
    try:
        cover = _fetch(fetcher, path, limits.COVER_FILE, package)
        named = list(named_files(cover, signature))
    except GaveUpError:
        raise
    except VerifierError as error:
        failures.append(Failure.of(path, error))
        return
    yield cover
    for name, sha256, size, scan in named:
        path = f"packages/{package}/{name}"
        try:
            data = _fetch(fetcher, path, size, sha256)
            if name == SIGNATURE:
                officials.add(_official(package, cover, SshSignature.parse(data)))
            yield data
        except GaveUpError:
            raise
        except VerifierError as error:
            if scan and isinstance(error, MissingError):
                missing.append(MissingScan(path, package, sha256))
            else:
                failures.append(Failure.of(path, error))


def _official(package: str, cover: bytes, signature: SshSignature) -> Official:
    """Who signed a cover; VerificationError if the signature does not hold."""
    match tomllib.loads(cover.decode()):
        case {"election": str(election), "attestation": {"by": str(area)}}:
            signature.check(cover, namespace(election))
            return Official(package, area, signature.key.sha256)
    raise FormatError("is beside a cover that names no official")


def _fetch(fetcher: Fetcher, path: str, size: int, sha256: str) -> bytes:
    data = fetcher.fetch(path, size)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise VerificationError("its SHA-256 is not the one that names it")
    return data


def named_files(cover: bytes, signature: str) -> Iterator[NamedFile]:
    """Each file that a cover names, and the `signature` with that hash (empty: there is none).

    The signature's length is what it may have at most. FormatError for what is no cover, or says otherwise who vouches for it.
    """
    if _DEEP_KEY.search(cover):
        raise FormatError(f"has a key of more than {limits.TOML_KEY_PARTS_COUNT} parts; it is not what was published")
    try:
        told = tomllib.loads(cover.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"is not TOML ({error}); it is not what was published") from None
    match told.get("attestation"):
        case {"kind": kind} if (kind == "official") != bool(signature):
            # What is no text may be a number of so many digits, or tables so deep, that it cannot be spelt.
            raise FormatError(
                f"says that {kind if isinstance(kind, str) else 'nobody':.20} vouches for it; results say otherwise"
            )
    if signature:
        yield NamedFile(SIGNATURE, signature, limits.SSH_SIGNATURE_FILE)
    entries: list[tuple[object, bool]] = [(told.get("rows"), False)]
    entries += [(scan, True) for scan in _list(told.get("scans", []))]
    for entry, is_scan in entries:
        match entry:
            case {"file": str(name), "sha256": str(sha256), "length": int(length)} if (
                name != SIGNATURE
                and _FILE.fullmatch(name)
                and _SHA256.fullmatch(sha256)
                and 0 <= length <= limits.TARGET_FILE
            ):
                yield NamedFile(name, sha256, length, is_scan)
            case _:
                raise FormatError("names a file without a plain name, SHA-256 and length; it is not what was published")


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
