"""Objects and their signatures: each is checked before it is put where it is served."""

from collections.abc import Callable

from verifier import limits
from verifier.errors import VerifierError
from verifier.files import SignedFile, check_signature, named_packages, object_path
from verifier.mirror.budget import Budget
from verifier.mirror.folder import Folder
from verifier.mirror.metadata import right_bytes
from verifier.mirror.upstreams import Upstreams
from verifier.results_signature import MinisignKeys

__all__ = ["Objects"]


class Objects:
    """What one process brings into a mirror's folder. `add` puts a checked file there, at once (`Folder.add`, which leaves alone what is
    there) or soon. `look`: whether a file is there is looked at before others are asked for it."""

    def __init__(
        self,
        folder: Folder,
        upstreams: Upstreams,
        budget: Budget,
        add: Callable[[str, bytes], None] | None = None,
        *,
        look: bool = True,
    ) -> None:
        self._folder, self._upstreams, self._budget = folder, upstreams, budget
        self._add, self._look = add or folder.add, look

    def bring(self, file: SignedFile, is_results: bool, keys: MinisignKeys) -> set[tuple[bytes, bytes]]:
        """Bring in a file, with its signature if it is a results file; the packages that it names (`named_packages`)."""
        data = self.get(object_path(file), file.length, file.sha256)
        if is_results:
            self._signature(file, data, keys)
        return named_packages(data) if file.path.endswith(".json") else set()

    def get(self, path: str, length: int, sha256: str) -> bytes:
        """The right bytes at a path that has or implies their hash; they are there afterwards."""
        data = self._folder.read(path, sha256) if self._look else None
        if data is None:
            self._budget.take(length)
            data = self._upstreams.fetch(path, length, right_bytes(sha256))
            self._add(path, data)
        return data

    def _signature(self, file: SignedFile, data: bytes, keys: MinisignKeys) -> None:
        path = object_path(file) + ".minisig"
        there = self._folder.read(path, max_length=limits.MINISIGN_FILE) if self._look else None
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
        self._add(path, text)
