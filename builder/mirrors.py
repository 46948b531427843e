"""The list of mirrors, `pages/mirrors.toml`, as browsers read it: `mirrors.json` (docs/formats.md, "Mirrors' addresses")."""

import json
import re

import msgspec

from builder.errors import ContentError
from builder.toml import convert_toml, parse_toml

__all__ = ["MIRRORS_FILE", "mirrors_list"]

MIRRORS_FILE = "mirrors.toml"
_COUNT = 32
# A browser fetches `<address>metadata/…`; over plain http a page at https may not.
_ADDRESS = re.compile(r"https://[^\s?#]+/|http://(?:localhost|127\.0\.0\.1)(?::[0-9]+)?/[^\s?#]*/")


class _Mirrors(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    mirrors: list[str]


def mirrors_list(data: bytes | None) -> bytes:
    """`mirrors.json` of the file's bytes; an empty list where there is none.

    Raises:
        ContentError: not TOML, or an address that is not that of an election's folder.
    """
    mirrors: list[str] = []
    if data is not None:
        file = f"pages/{MIRRORS_FILE}"
        mirrors = convert_toml(
            parse_toml(data, file=file, error=ContentError), _Mirrors, data, file=file, error=ContentError
        ).mirrors
        wrong = [address for address in mirrors if not _ADDRESS.fullmatch(address)]
        if wrong or len(mirrors) > _COUNT:
            problem = f"{wrong[0]!r} is no address https://…/<election>/" if wrong else f"more than {_COUNT} mirrors"
            raise ContentError(problem, file=file, field="mirrors", rule="mirrors")
    return json.dumps(
        {"format": "terbit-mirrors-1", "mirrors": mirrors}, separators=(",", ":"), sort_keys=True
    ).encode()
