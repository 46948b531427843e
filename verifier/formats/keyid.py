"""TUF keyids (TUF specification 1.0.29, 4.2.1: the SHA-256 of the key's canonical JSON; docs/formats.md, "Keys")."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from verifier.formats import canonical_json

if TYPE_CHECKING:
    from verifier.tuf_api import Key

__all__ = ["keyid", "misnamed_keys"]


def keyid(description: Mapping[str, Any]) -> str:
    """The keyid of a key with `keytype`, `keyval` and `scheme`."""
    return hashlib.sha256(canonical_json.encode(dict(description))).hexdigest()


def misnamed_keys(keys: Mapping[str, Key]) -> list[str]:
    """Keyids under which another key stands than the one that they are the hash of.

    python-tuf takes any keyid. Under a genuine one, an attacker's key would be shown and counted as its owner's.
    """
    return [
        name
        for name, key in keys.items()
        if name != keyid({"keytype": key.keytype, "keyval": key.keyval, "scheme": key.scheme})
    ]
