"""The hash that names a set of input files."""

import hashlib
from collections.abc import Mapping

__all__ = ["input_hash"]


def input_hash(files: Mapping[str, bytes]) -> str:
    """SHA-256 over `<sha256>  <name>` lines in the names' order, as `sha256sum` writes them."""
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
