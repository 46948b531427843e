"""How much one run may store: signed lengths are honest only as long as no key is stolen, and a disk ends."""

import threading

from verifier import limits
from verifier.errors import VerificationError

__all__ = ["Budget"]


class Budget:
    """Bytes and files that may still come in. Thread-safe."""

    def __init__(self, length: int = limits.MIRROR_RUN_BYTES, files: int = limits.MIRROR_RUN_FILES_COUNT) -> None:
        self._whole_length, self._whole_files = length, files
        self.length = self.files = 0
        self._lock = threading.Lock()

    def take(self, length: int) -> None:
        """Count one file of at most `length` bytes; VerificationError if that is too much."""
        with self._lock:
            self.length += length
            self.files += 1
            if self.length > self._whole_length or self.files > self._whole_files:
                raise VerificationError(
                    f"what is signed goes beyond {self._whole_length} bytes or {self._whole_files} files for one run: "
                    "a key may be misused"
                )
