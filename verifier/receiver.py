"""Files that are too large to be held: hashed as they come, part by part."""

import hashlib
import threading
from typing import IO, Protocol, runtime_checkable

from verifier.errors import FetchError, VerificationError
from verifier.fetcher import Fetcher

__all__ = ["Receiver", "Streaming", "check_sha256", "receive"]


def check_sha256(got: str, signed: str) -> None:
    """VerificationError unless both hashes (hexadecimal) are one."""
    if got != signed:
        raise VerificationError(f"its SHA-256 is {got}, signed is {signed}")


class Receiver:
    """A file on its way: hashed, and written to `file` if there is one. Nothing may be taken out of it before `check`. `left`: nobody waits for it any more."""

    def __init__(self, file: IO[bytes] | None = None, left: threading.Event | None = None) -> None:
        self._file, self._left = file, left
        self.length, self._digest = 0, hashlib.sha256()

    def take(self, part: bytes) -> None:
        """The next bytes of the file; FetchError if nobody waits for them."""
        if self._left is not None and self._left.is_set():
            raise FetchError("nobody waits for it any more")
        if self._file is not None:
            self._file.write(part)
        self._digest.update(part)
        self.length += len(part)

    def restart(self) -> None:
        """Forget what came: the file comes from its beginning again."""
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate()
        self.length, self._digest = 0, hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def check(self, sha256: str) -> None:
        """VerificationError for bytes of any other SHA-256 (hexadecimal)."""
        check_sha256(self.sha256, sha256)


@runtime_checkable
class Streaming(Protocol):
    """A Fetcher that need not hold a file to hand it on."""

    def receive(self, path: str, length: int, receiver: Receiver) -> None:
        """Hand a file of `length` signed bytes to `receiver`; errors as those of `Fetcher.fetch`."""


def receive(fetcher: Fetcher, path: str, length: int, receiver: Receiver) -> None:
    """Hand a file on, in parts where the fetcher can do that."""
    if isinstance(fetcher, Streaming):
        fetcher.receive(path, length, receiver)
    else:
        receiver.take(fetcher.fetch(path, length))
