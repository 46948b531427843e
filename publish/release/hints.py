"""Hints: what nobody signs and nobody may trust, shown beside what is signed."""

import msgspec

__all__ = ["DOMAIN_HINTS", "latest_hint"]

# These belong to the whole domain, so they are shown outside the election's folder too.
DOMAIN_HINTS = {"portal.html": "../index.html", "security.txt": "../.well-known/security.txt"}


def latest_hint(release: int, released: str, expires: str, frozen: dict[str, str] | None = None) -> bytes:
    """`latest.json`; times as `2026-11-21T05:00:00Z`. `frozen`: since when and why nothing new is taken in."""
    hint = {"release": release, "released": released, "expires": expires, **({"frozen": frozen} if frozen else {})}
    return msgspec.json.encode(hint) + b"\n"
