"""What may be signed offline: metadata that says nothing beyond what its signers are shown.

They see versions, ends, thresholds, keys, roles and hashes. All else in root, targets and trust follows from these, so it
is drafted anew from them and compared: whoever can write into keys/pending/ could otherwise hide another key behind a
genuine keyid, or a wider path behind a genuine name.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from publish.errors import SigningError
from publish.signing import repository
from publish.signing.repository import RoleKeys
from verifier.errors import FormatError
from verifier.formats import canonical_json
from verifier.formats.keyid import misnamed_keys
from verifier.formats.minisign import KEY_ID_SIZE, PublicKey
from verifier.tuf_api import Key, Role, Root, Targets

__all__ = ["check_same", "check_signable", "first_difference", "stated_keys", "stated_roles"]

SHOWN_CHARACTERS = 200
ANEW = "Somebody changed it: sign nothing, ask who could write there, and have it drafted anew: terbit keys refresh"


def stated_keys(signed: Root | Targets) -> Mapping[str, Key]:
    """The keys that root metadata, or metadata that delegates, states by keyid."""
    if isinstance(signed, Root):
        return signed.keys
    return signed.delegations.keys if signed.delegations else {}


def stated_roles(signed: Root | Targets) -> Mapping[str, Role]:
    """The roles that it appoints, in their order."""
    if isinstance(signed, Root):
        return signed.roles
    return (signed.delegations.roles if signed.delegations else None) or {}


def check_signable(role: str, signed: Root | Targets, where: object) -> None:
    """SigningError, naming the file `where`, unless Terbit itself could have drafted `signed` as its `role`."""
    if misnamed := misnamed_keys(stated_keys(signed)):
        raise SigningError(f"{where}: keyid {misnamed[0]} is not the hash of the key that stands there. {ANEW}")
    if isinstance(signed, Root):
        wanted = repository.root_metadata(signed.version, signed.expires, _role_keys(signed, where))
    elif role == "targets":
        names = list(stated_roles(signed))
        if names[:2] != ["trust", "site"] or not all(re.fullmatch("[a-z0-9]+", name) for name in names):
            raise SigningError(f"{where}: delegates to {names}, not to trust, site and then groups. {ANEW}")
        wanted = repository.targets_metadata(signed.version, signed.expires, _role_keys(signed, where))
    else:
        for path in signed.targets:
            if not re.fullmatch(r"(trust|keys)/[A-Za-z0-9][A-Za-z0-9._-]*", path):
                raise SigningError(f"{where}: lists {path!r}, which is no plain file in trust/ or keys/. {ANEW}")
        files = {path: (file.length, file.hashes.get("sha256", "")) for path, file in signed.targets.items()}
        wanted = repository.shard_metadata(signed.version, signed.expires, files, ())
    check_same(signed, wanted, where, ANEW)


def check_same(signed: Root | Targets, wanted: bytes, where: object, mend: str) -> None:
    """SigningError, with the first field that differs, unless what would be signed is that of the metadata `wanted`."""
    found, drafted = signed.to_dict(), json.loads(wanted)["signed"]
    if canonical_json.encode(found) != canonical_json.encode(drafted):
        raise SigningError(f"{where}: {first_difference(found, drafted, 'signed')}. {mend}")


def _role_keys(signed: Root | Targets, where: object) -> dict[str, RoleKeys]:
    keys = stated_keys(signed)
    try:
        return {
            name: RoleKeys(tuple(_public(keys[keyid]) for keyid in role.keyids), role.threshold)
            for name, role in stated_roles(signed).items()
        }
    except (KeyError, TypeError, ValueError, FormatError):
        raise SigningError(f"{where}: names a key that is missing or not Ed25519. {ANEW}") from None
    except SigningError as error:
        raise SigningError(f"{where}: {error}. {ANEW}") from None


def _public(key: Key) -> PublicKey:
    # minisign's key id is not in the metadata, and no part of the keyid.
    return PublicKey(bytes(KEY_ID_SIZE), bytes.fromhex(key.keyval["public"]))


def first_difference(found: Any, wanted: Any, field: str) -> str:  # noqa: ANN401 - JSON
    """The first field, in the names' order, at which two JSON values part, with both."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for name in sorted(found.keys() | wanted.keys()):
            if found.get(name) != wanted.get(name):
                return first_difference(found.get(name), wanted.get(name), f"{field}.{name}")
    if isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        for number, (one, other) in enumerate(zip(found, wanted, strict=True)):
            if one != other:
                return first_difference(one, other, f"{field}[{number}]")
    return f"{field} is {_shown(found)}, not {_shown(wanted)}"


def _shown(value: Any) -> str:  # noqa: ANN401 - JSON
    text = json.dumps(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
