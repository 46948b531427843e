"""Which root of trust a check starts from, and where the state of earlier checks lies.

State belongs to a root, not to a place: whoever saw release 12 at the origin refuses release 11 from a mirror. A root is
what its signed part says: another spelling of the same root, or a later root that followed from it, has the same state.
Without a root on the command line, the root that was trusted at the same place before is used again, and only that one: a
site cannot choose among all the roots that this user ever trusted (a rehearsal's, for one).
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from verifier import limits
from verifier.errors import FormatError, VerificationError, VerifierError
from verifier.fetcher import DirectoryFetcher, Fetcher, MissingError
from verifier.formats import canonical_json, strict_json

__all__ = ["OWN_FOLDER", "NoTrustError", "Trust", "TrustStore", "check_fingerprint", "first_root", "state_home"]

OWN_FOLDER = "name the election's own folder, like https://example.org/pemilu-2019/"
FIRST_ROOT = "metadata/1.root.json"


def first_root(fetch: Callable[[str, int], bytes], sha256: str) -> bytes:
    """An election's first root, by `fetch(path, max_length)`.

    Raises:
        VerificationError: it has not this SHA-256 (hex).
        MissingError: there is none, as at the domain around the election.
    """
    try:
        root = fetch(FIRST_ROOT, limits.ROOT_METADATA)
    except MissingError as error:
        raise MissingError(f"{error}; {OWN_FOLDER}") from error
    check_fingerprint(root, sha256)
    return root


def check_fingerprint(root: bytes, sha256: str) -> None:
    """VerificationError unless the bytes of the first root have this SHA-256 (hex)."""
    if (got := hashlib.sha256(root).hexdigest()) != sha256:
        raise VerificationError(
            f"{FIRST_ROOT} has sha256 {got}, not the fingerprint {sha256}: compare both with the printed one"
        )


class NoTrustError(VerifierError):
    """Nothing says which root to trust."""

    exit_code = 2


@dataclass(frozen=True)
class Trust:
    """`root`: trusted root metadata, None when the client's folder `state` already holds it."""

    state: Path
    root: bytes | None


def state_home(environ: Mapping[str, str]) -> Path:
    """The folder for state that outlives a run (XDG Base Directory Specification, `XDG_STATE_HOME`)."""
    home = environ.get("XDG_STATE_HOME", "")
    return (Path(home) if os.path.isabs(home) else Path.home() / ".local" / "state") / "terbit"


class TrustStore:
    """`home/roots/<sha256 of its first root>/`: one client's state each, with every root that it has followed in
    `root_history/`. `home/places/<sha256 of the place>`: its state's name."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def find(self, place: str, state: Path | None = None) -> Trust:
        """The root that was trusted at `place`, or whatever `state` holds, from an earlier run."""
        state = state or self._remembered(place)
        if state is None or _read_root(state / "root.json") is None:
            raise NoTrustError(
                f"nothing says which keys may sign for {place}: give --root FILE, a root.json from a source that you "
                "trust, or --root-sha256 HEX, its printed fingerprint. Later runs remember it"
            )
        return Trust(state, None)

    def _remembered(self, place: str) -> Path | None:
        try:
            return self._home / "roots" / self._place(place).read_text()
        except (OSError, ValueError):  # gone, or damaged on the disk
            return None

    def pin_file(self, file: Path, state: Path | None = None) -> Trust:
        """Trust the root metadata in `file`."""
        root = DirectoryFetcher(file.resolve().parent).fetch(file.resolve().name, limits.ROOT_METADATA)
        if _signed_part(root) is None:
            raise FormatError(
                f"{file} is no root metadata; give the election's root.json, which its publisher calls 1.root.json"
            )
        return self._pin(root, state)

    def pin_fingerprint(self, sha256: str, fetcher: Fetcher, state: Path | None = None) -> Trust:
        """Trust the site's own first root, if it is the one that `sha256` (hex) names."""
        return self._pin(first_root(fetcher.fetch, sha256.lower()), state)

    def _pin(self, root: bytes, state: Path | None) -> Trust:
        """VerifierError if `state` is another root's: one election's would take the place of what was seen of the other."""
        wanted = _signed_part(root)
        if state is not None and wanted is not None:
            known = _read_root(state / "root_history" / f"{wanted[0]}.root.json")
            if known is not None and known != wanted:
                raise VerifierError(
                    f"{state} remembers what was seen under another root; name another folder by --state"
                )
        return Trust(state or self._known(root) or self._home / "roots" / hashlib.sha256(root).hexdigest(), root)

    def _known(self, root: bytes) -> Path | None:
        """The state that has followed this very root, under whichever name the state began.

        A root from before the first one of a state is not found: what leads from the one to the other lies at the site.
        """
        wanted = _signed_part(root)
        if wanted is None:
            return None
        version, signed = wanted
        for file in sorted((self._home / "roots").glob(f"*/root_history/{version}.root.json")):
            if _read_root(file) == (version, signed):
                return file.parent.parent
        return None

    def remember(self, place: str, trust: Trust) -> None:
        """Use `trust` for `place` from now on. To be called only after a refresh from there has succeeded."""
        if trust.root is None or trust.state.parent != self._home / "roots":
            return
        file = self._place(place)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(trust.state.name)
        except OSError as error:
            raise VerifierError(f"the state folder cannot be used: {error}") from None

    def _place(self, place: str) -> Path:
        return self._home / "places" / hashlib.sha256(place.encode()).hexdigest()


def _read_root(file: Path) -> tuple[int, bytes] | None:
    """`_signed_part` of a file; None where it cannot be read."""
    try:
        with file.open("rb") as stream:
            return _signed_part(stream.read(limits.ROOT_METADATA))
    except (OSError, ValueError):  # ValueError: a path with NUL in it, out of a damaged file
        return None


def _signed_part(root: bytes) -> tuple[int, bytes] | None:
    """Version and canonical bytes of what root metadata says; None for anything else, which the client then refuses."""
    try:
        match strict_json.loads(root, "root metadata"):
            case {"signed": {"version": int(version)} as signed}:
                return version, canonical_json.encode(signed)
    except FormatError:
        pass
    return None
