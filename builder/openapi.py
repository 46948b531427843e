"""The static GETs as OpenAPI 3.1 describes them: every kind of path that is published, with its media type. Pure.

A path's parameters have exact patterns, so that each file is described by one path. OpenAPI has no parameter with a `/` in it: each depth is a path of its own.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from builder.content import RESERVED_SLUGS
from builder.election import Definition
from builder.languages import LANGUAGES, language_folder

__all__ = ["openapi"]

# By what a path ends with.
_MEDIA_TYPES = {
    "html": "text/html",
    "js": "text/javascript",
    "css": "text/css",
    "svg": "image/svg+xml",
    "png": "image/png",
    "json": "application/json",
    "topojson": "application/json",
    "jsonld": "application/ld+json",
    "atom": "application/atom+xml",
    "xml": "application/xml",
    "csv": "text/csv",
    "gz": "application/gzip",
    "parquet": "application/vnd.apache.parquet",
    "tar": "application/x-tar",
    "{rows}": "text/csv",
    "{scan}": "image/jpeg image/png image/webp application/pdf",
    **dict.fromkeys(["toml", "txt", "minisig", "sig", "pub", "tlog-proof", "checkpoint"], "text/plain"),
}
_SCHEMAS = {"results": {"$ref": "schema/results.json"}}

_HASH, _CODE = "[0-9a-f]{64}", "n?[0-9a-z]{1,20}"
_NAME = "[A-Za-z0-9][A-Za-z0-9._-]*"
# What stands in braces in a path: what it is, and all that it can be.
_PARAMETERS = {
    "area": ("Code of an area, `n` for a leading `-`", _CODE),
    "shard": ("Code of the area by whose role it is signed, `n` for a leading `-`", _CODE),
    **{level: (f"Code of a {level}", _CODE) for level in ("province", "regency", "district", "village")},
    "station": ("Code of a village, then its station's number of three digits", "[0-9A-Za-z._-]+"),
    "stations": ("Number of a page of an area's polling stations, from 2", "(?:[2-9]|[1-9][0-9]+)"),
    "page": (
        "Name of a content page",
        f"(?!(?:{'|'.join(sorted(RESERVED_SLUGS))})(?![a-z0-9-]))[a-z0-9]+(?:-[a-z0-9]+)*",
    ),
    "part": ("Number of a part of the search index, from 0", "(?:0|[1-9][0-9]*)"),
    "sha256": ("SHA-256 of the file; of a signature's, of what it signs", _HASH),
    "inputs": ("What `sha256sum` says of the archived files, in one hash", _HASH),
    "package": ("SHA-256 of the package's recap.toml", _HASH),
    "rows": ("Name of the figures' file", rf"{_NAME}\.[cC][sS][vV]"),
    "scan": ("Name of a scan's file", rf"{_NAME}\.(?:[jJ][pP][eE]?[gG]|[pP][nN][gG]|[wW][eE][bB][pP]|[pP][dD][fF])"),
    "authority": ("SHA-256 of the order", _HASH),
    "name": ("A file's name", _NAME),
    "release": ("Number of a release", "[1-9][0-9]*"),
    "number": ("From 1", "[1-9][0-9]*"),
    "version": ("Version of the metadata", "[1-9][0-9]*"),
    "role": ("Name of a TUF role", "[a-z0-9]+(?:-[a-z0-9]+)*"),
    "level": ("Level of hashes", "[0-7]"),
    "thousands": ("Three digits of the tile's number", "[0-9]{3}"),
    "tile": ("The last three digits of the tile's number", "[0-9]{3}"),
    "width": ("How many hashes or entries, where it is not full", "(?:[1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5])"),
}


class _Kind(NamedTuple):
    """A kind of file: its path, what it holds, the name of its schema if it has one. `language`: each language has it in its folder."""

    path: str
    about: str
    schema: str = ""
    language: bool = False


# Below `[<shard>/]`: above the shard level without it.
_OF_AREAS = (
    _Kind("{contest}/{area}.html", "Page of an area", language=True),
    _Kind("{contest}/a-z.html", "Areas from A to Z", language=True),
    _Kind("{contest}/{area}.json", "Results of an area", "results"),
    _Kind("{contest}/{area}.json.minisig", "Signature of such results"),
    _Kind("data/{contest}/{area}.areas.csv.gz", "Sums of all areas of a portion"),
    _Kind("data/{contest}/{area}.areas.parquet", "The same"),
    _Kind("data/{contest}/{area}.stations.csv.gz", "Every polling station of a portion"),
    _Kind("data/{contest}/{area}.stations.parquet", "The same"),
    _Kind("data/{contest}/{area}.cdf.json", "NIST SP 1500-100 report of a contest; `area` is its own"),
    _Kind("data/{contest}/{area}.datapackage.json", "Data Package of a contest; `area` is its own"),
    _Kind("data/{contest}/{area}.dataset.jsonld", "schema.org Dataset of a contest; `area` is its own"),
    _Kind("data/{contest}/{area}.html", "Page of a contest's data files; `area` is its own"),
    _Kind("data/{contest}/{area}.en.html", "The same in English"),
    _Kind("embed/{contest}/{area}.html", "Page of an area, for frames"),
    _Kind("embed/{contest}/{area}.en.html", "The same in English"),
    _Kind("embed/{contest}/{area}.json", "oEmbed answer for such a page"),
    _Kind("embed/{contest}/{area}.en.json", "The same in English"),
    _Kind("embed/{contest}/{area}.png", "Picture of an area's figures, for links that are shared"),
    _Kind("embed/{contest}/{area}.en.png", "The same in English"),
)
# Areas with polling stations are of the last level.
_OF_STATIONS = (
    _Kind("{contest}/{shard}/{area}-{stations}.html", "Further page of an area's polling stations", language=True),
)
_OF_SITE = (
    _Kind("index.html", "Front page", language=True),
    _Kind("{page}.html", "A content page; at the path of one that is gone, gone.html", language=True),
    _Kind("portal.html", "Page of the elections; also the domain's /index.html"),
    _Kind("404.html", "What is answered where there is nothing"),
    *(_Kind(f"gone{depth}.html", "What stands where a page was") for depth in ("", "-1", "-2", "-3")),
    _Kind("gone.json", "What stands where results were"),
    _Kind("openapi.json", "This description"),
    _Kind("mirrors.json", "Addresses of mirrors"),
    _Kind("sw.js", "The checker, a service worker"),
    _Kind("assets/periksa.html", "The checker for single files, on a server"),
    _Kind("assets/periksa-luring.html", "The same as one file, for a disk"),
    *(_Kind(f"assets/{{name}}.{suffix}", "What pages are made with") for suffix in ("css", "js", "svg")),
    _Kind("schema/results.json", "JSON Schema of results"),
    _Kind("search/index.json", "Where the parts of the search index begin"),
    _Kind("search/{part}.json", "A part of the search index"),
    *(_Kind(f"feeds/{name}.atom", "Releases, newest first") for name in ("releases", "releases.en")),
    *(_Kind(f"feeds/{name}.atom", "Corrections, newest first") for name in ("corrections", "corrections.en")),
    _Kind("inputs/{inputs}.content.tar", "Content that a release was made from"),
    _Kind("inputs/{inputs}.templates.tar", "Templates that a release was made with"),
)
_OF_DOMAIN = {
    "contact": (_Kind("security.txt", "RFC 9116; also at the domain's /.well-known/security.txt"),),
    "address": (
        _Kind("robots.txt", "What searching programs may read"),
        _Kind("sitemap.xml", "Front page, and pages of areas down to the shard level"),
    ),
}
_OF_TRUST = (
    _Kind("trust/election.toml", "Definition of the election"),
    _Kind("trust/areas.csv", "Areas of the election"),
    _Kind("trust/areas.csv.gz", "The same, where it is packed"),
    _Kind("trust/map.topojson", "Shapes of areas, where there are some"),
    _Kind("trust/allowed_signers", "Keys of the officials, where there are some"),
    _Kind("trust/minisign.json", "Which key signs the results of which releases"),
    _Kind("trust/tlog-policy.txt", "Logs, witnesses, and how many of these must have signed"),
    _Kind("keys/{name}.pub", "A public key"),
)
# The same figures in Sirekap's shape, where the definition asks for that; the last one, where it asks for stations.
_OF_SIREKAP = (
    _Kind("sirekap/pemilu/hhcw/{group}.json", "Sirekap's shape: results of the country"),
    *(
        _Kind(f"sirekap/{folder}/{{group}}/{above}{{area}}.json", about)
        for folder, about in (("pemilu/hhcw", "Sirekap's shape: results"), ("wilayah/pemilu", "Sirekap's shape: what is below an area; below the country, 0.json"))
        for above in ("", "{province}/", "{province}/{regency}/", "{province}/{regency}/{district}/")
    ),
    _Kind("sirekap/pemilu/hhcw/{group}/{province}/{regency}/{district}/{village}/{station}.json", "Sirekap's shape: one station"),
)  # fmt: skip
# TUF targets that have no alias.
_OBJECTS_ALONE = (
    _Kind("packs/{release}-{number}.tar", "What a release changed, for mirrors"),
    _Kind("packs/{release}-{packed}-{number}.tar", "All that is in force at a release, for mirrors that begin"),
)
_OTHERS = (
    _Kind("latest.json", "The current release; an unsigned hint"),
    _Kind("metadata/timestamp.json", "TUF: which snapshot is current"),
    _Kind("metadata/{version}.{role}.json", "TUF: metadata of a role"),
    _Kind("metadata/{release}.snapshot.json.tlog-proof", "That a release is in the log"),
    _Kind("packages/{package}/recap.toml", "Cover of an accepted package"),
    _Kind("packages/{package}/recap.toml.sig", "Its official's signature"),
    _Kind("packages/{package}/{rows}", "Its figures"),
    _Kind("packages/{package}/{scan}", "A scan"),
    _Kind("packages/{package}/{authority}.order.txt", "Why a scan is withheld"),
    _Kind("log/checkpoint", "The log's size and root hash, signed"),
    *(
        _Kind(f"log/tile/{kind}/{tile}{width}", about)
        for kind, about in (("{level}", "Hashes of the log"), ("entries", "Entries of the log"))
        for tile in ("{tile}", "x{thousands}/{tile}")
        for width in ("", ".p/{width}")
    ),
)


def openapi(definition: Definition) -> dict[str, Any]:
    """The description; its paths are relative to the election's folder."""
    election = definition.election
    # By groups: a nation has thousands of contests.
    contest = rf"(?:{'|'.join(election.groups)})(?:-[a-z0-9]+)*"
    parameters = {**_PARAMETERS, "contest": ("Id of a contest", contest)}
    parameters["group"] = ("Id of a contest", rf"(?:{'|'.join(election.groups)})")
    packed = rf"(?:{'|'.join(election.groups)}|site)"
    parameters["packed"] = ("Group of contests whose files a full pack has; `site`: those of none", packed)
    targets = list(_targets(definition))
    objects = [_object(kind) for kind in (*targets, *_OBJECTS_ALONE)]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": election.title.en,
            "version": "1",
            "description": "Static files, signed; see docs/formats.md of Terbit. Any other method or path is answered by 404 or 405.",
        },
        "servers": [{"url": election.address or "."}],
        "paths": {f"/{kind.path}": {"get": _get(kind)} for kind in (*targets, *_OTHERS, *objects)},
        "components": {
            "parameters": {name: _parameter(name, *told) for name, told in parameters.items()},
            "responses": {"absent": {"description": "There is no such file"}},
        },
    }


def _targets(definition: Definition) -> Iterator[_Kind]:
    """What is signed and has an alias."""
    election = definition.election
    in_shards = (kind._replace(path=_in_shard(kind.path)) for kind in _OF_AREAS)
    for kind in (*_OF_AREAS, *in_shards, *_OF_STATIONS, *_OF_SITE):
        for language in election.languages if kind.language and "{page}" not in kind.path else LANGUAGES:
            if language == LANGUAGES[0] or kind.language:
                yield kind._replace(path=language_folder(language) + kind.path)
    yield from _OF_TRUST
    asked = [contest.sirekap for contest in election.contests if contest.sirekap]
    yield from _OF_SIREKAP if any(one.stations for one in asked) else _OF_SIREKAP[:-1] if asked else ()
    for field, kinds in _OF_DOMAIN.items():
        yield from kinds if getattr(election, field) else ()


def _in_shard(path: str) -> str:
    return path.replace("{contest}/", "{contest}/{shard}/")


def _object(kind: _Kind) -> _Kind:
    """The immutable copy of a TUF target, named by its hash (docs/formats.md, "Public tree")."""
    folder, slash, name = kind.path.rpartition("/")
    return kind._replace(path=f"targets/{folder}{slash}{{sha256}}.{name}", about=f"The object: {kind.about}")


def _get(kind: _Kind) -> dict[str, Any]:
    suffix = kind.path.rpartition("/")[2].rpartition(".")[2]
    described = {"schema": _SCHEMAS[kind.schema]} if kind.schema else {}
    content = dict.fromkeys(_MEDIA_TYPES.get(suffix, "application/octet-stream").split(), described)
    return {
        "summary": kind.about,
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in re.findall(r"{(\w+)}", kind.path)],
        "responses": {
            "200": {"description": kind.about, "content": content},
            "404": {"$ref": "#/components/responses/absent"},
        },
    }


def _parameter(name: str, about: str, pattern: str) -> dict[str, Any]:
    schema = {"type": "string", "pattern": f"^{pattern}$"}
    return {"name": name, "in": "path", "required": True, "description": about, "schema": schema}
