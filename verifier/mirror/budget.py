"""How much one run may store: signed lengths are honest only as long as no key is stolen, and a disk ends."""

import threading

from verifier import limits
from verifier.errors import VerificationError

__all__ = ["Budget"]


class Budget:
    """Counts bytes and files as they are asked for, up to limits.MIRROR_RUN_*. Thread-safe."""

    def __init__(self) -> None:
        self.length = self.files = 0
        self._lock = threading.Lock()

    def take(self, length: int, files: int = 1) -> None:
        """Count one file, or some, of at most `length` bytes; VerificationError if that is too much."""
        with self._lock:
            self.length += length
            self.files += files
            if self.length > limits.MIRROR_RUN_BYTES or self.files > limits.MIRROR_RUN_FILES_COUNT:
                raise VerificationError(
                    f"what is signed goes beyond {limits.MIRROR_RUN_BYTES} bytes or {limits.MIRROR_RUN_FILES_COUNT} files "
                    "for one run: a key may be misused"
                )
