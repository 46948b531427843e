"""Small files for whoever visits a domain: robots.txt, sitemap.xml (sitemaps.org), security.txt (RFC 9116), openapi.json (OpenAPI 3.1). Pure."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec

from builder.election import Definition
from builder.exports import top_row

__all__ = ["domain_files", "openapi"]

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


def openapi(definition: Definition) -> dict[str, Any]:
    """The static GETs as OpenAPI 3.1 describes them."""
    election = definition.election
    contest = _parameter("contest", "Id of a contest", enum=[contest.id for contest in election.contests][:100])
    shard = _parameter("shard", f"Code of the area of level {election.shard_level!r}, `n` for a leading `-`")
    area = _parameter("area", "Code of an area, `n` for a leading `-`")
    portion = _parameter("portion", "Code of a portion's area, as datapackage.json lists them")
    json, results = "application/json", {"$ref": "schema/results.json"}
    gets = {
        "/latest.json": ("The current release; an unsigned hint", [], json, {"type": "object"}),
        "/{contest}/{area}.json": ("Results of an area above the shard level", [contest, area], json, results),
        "/{contest}/{shard}/{area}.json": ("Results of an area with its polling stations", [contest, shard, area], json, results),
        "/{contest}/{area}.json.minisig": ("The signature of such a file", [contest, area], "text/plain", None),
        "/{contest}/{shard}/{area}.json.minisig": ("The signature of such a file", [contest, shard, area], "text/plain", None),
        "/data/{contest}/{area}.datapackage.json": ("What data files a contest has; `area` is its own", [contest, area], json, {"type": "object"}),
        "/data/{contest}/{area}.cdf.json": ("NIST SP 1500-100 report of a contest; `area` is its own", [contest, area], json, {"type": "object"}),
        "/data/{contest}/{portion}.areas.csv.gz": ("Sums of all areas of a portion", [contest, portion], "application/gzip", None),
        "/data/{contest}/{portion}.areas.parquet": ("The same", [contest, portion], "application/vnd.apache.parquet", None),
        "/data/{contest}/{portion}.stations.csv.gz": ("Every polling station of a portion", [contest, portion], "application/gzip", None),
        "/data/{contest}/{portion}.stations.parquet": ("The same", [contest, portion], "application/vnd.apache.parquet", None),
        "/search/index.json": ("Where the search index's shards begin", [], json, {"type": "object"}),
        "/feeds/releases.atom": ("Releases", [], "application/atom+xml", None),
        "/feeds/corrections.atom": ("Corrections", [], "application/atom+xml", None),
    }  # fmt: skip
    return {
        "openapi": "3.1.0",
        "info": {
            "title": election.title.en,
            "version": "1",
            "description": "Static files, signed; see docs/formats.md of Terbit. Any other method or path is answered by 404 or 405.",
        },
        "servers": [{"url": election.address or "."}],
        "paths": {path: {"get": _get(*told)} for path, told in gets.items()},
    }


def _get(summary: str, parameters: list[dict[str, Any]], media_type: str, schema: dict[str, Any] | None) -> dict[str, Any]:  # fmt: skip
    content: dict[str, Any] = {media_type: {"schema": schema} if schema else {}}
    return {
        "summary": summary,
        "parameters": parameters,
        "responses": {"200": {"description": summary, "content": content}, "404": {"description": "There is no such file"}},
    }  # fmt: skip


def _parameter(name: str, about: str, **schema: object) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "description": about, "schema": {"type": "string", **schema}}
