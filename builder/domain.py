"""Small files for whoever visits a domain: robots.txt, sitemap.xml (sitemaps.org), security.txt (RFC 9116), openapi.json. Pure."""

from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlsplit

import msgspec

from builder.election import Definition
from builder.exports import top_row
from builder.openapi import openapi

__all__ = ["domain_files"]

_encode = msgspec.json.Encoder(order="sorted").encode


def domain_files(definition: Definition, time: str) -> Iterator[tuple[str, bytes]]:
    """Path and bytes of each file; `time` is the release's. What needs the site's own address is left out where that is not told."""
    election = definition.election
    yield "openapi.json", _encode(openapi(definition)) + b"\n"
    if election.contact:
        yield "security.txt", _security(election.contact, election.address, time).encode()
    if election.address:
        yield "robots.txt", f"User-agent: *\nAllow: /\nSitemap: {election.address}sitemap.xml\n".encode()
        yield "sitemap.xml", _sitemap(definition, election.address).encode()


def _security(contact: str, address: str | None, time: str) -> str:
    """Valid for the twelve months after the release's own, so that it changes once a month."""
    month = datetime.fromisoformat(time).replace(day=1, hour=0, minute=0, second=0)
    lines = [f"Contact: {contact}", f"Expires: {month.replace(year=month.year + 1):%Y-%m-%dT%H:%M:%SZ}", "Preferred-Languages: id, en"]  # fmt: skip
    if address:
        lines.append(f"Canonical: https://{urlsplit(address).netloc}/.well-known/security.txt")
    return "\n".join([*lines, ""])


def _sitemap(definition: Definition, address: str) -> str:
    """The front page and the areas down to the shard level, from which every other page is reached."""
    areas, depth = definition.areas, definition.election.level_number(definition.election.shard_level)
    paths = ["index.html"]
    for contest in definition.election.contests:
        top = top_row(definition, contest)
        rows = (row for row in range(top, areas.ends[top]) if row == top or areas.levels[row] <= depth)
        paths += [f"{areas.path(contest.id, row)}.html" for row in rows]
    # No character of a path or of the address needs to be escaped but this one.
    urls = "".join(f"<url><loc>{address.replace('&', '&amp;')}{path}</loc></url>\n" for path in paths[:50_000])
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{urls}</urlset>\n'
