"""What data files a contest has, for programs and for search engines: Data Package, table schemas, schema.org Dataset.

docs/formats.md, "Data". All of it follows from the definition and from the listing of the data files: path → length, SHA-256.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from markupsafe import Markup

from builder.election import Contest, Definition
from builder.exports import Portion, columns, data_path, portion_paths, portions, top_row
from builder.languages import language_folder, language_suffix
from builder.pages import Pages
from builder.results import View

__all__ = ["Listing", "catalog_files", "data_files", "data_page", "dataset"]

Listing = Mapping[str, tuple[int, str]]

_encode = msgspec.json.Encoder(order="sorted").encode
_MEDIA_TYPES = {"csv.gz": "text/csv", "parquet": "application/vnd.apache.parquet", "cdf.json": "application/json"}
_ENGLISH = {"areas": "areas", "stations": "polling stations"}


def data_files(definition: Definition, contest: Contest) -> Iterator[tuple[str, str, Portion]]:
    """Path, table (`areas`, `stations`, or "" for the report in NIST's format) and portion of every data file of a contest."""
    found = portions(definition, contest)
    yield f"{found[0].path}.cdf.json", "", found[0]
    for portion in found:
        for path, table in portion_paths(portion).items():
            yield path, table, portion


def catalog_files(definition: Definition, contest: Contest, view: View, listing: Listing) -> Iterator[tuple[str, bytes]]:  # fmt: skip
    """Path and bytes of the files that describe the data files; `view` is that of the contest's own area."""
    start = data_path(definition, contest, top_row(definition, contest))
    yield f"{start}.datapackage.json", _encode(_data_package(definition, contest, view, listing)) + b"\n"
    yield f"{start}.dataset.jsonld", _encode(dataset(definition, contest, view, listing)) + b"\n"


def data_page(definition: Definition, contest: Contest, view: View, listing: Listing, pages: Pages) -> tuple[str, bytes]:  # fmt: skip
    """Path and bytes of the page that lists the data files."""
    wording, areas = pages.wording, definition.areas
    words: Mapping[str, str] = wording.texts["data"]
    start = data_path(definition, contest, top_row(definition, contest))
    path = f"{start}{language_suffix(pages.language)}.html"
    name, root = start.rpartition("/")[2], "../" * path.count("/")
    described = {"datapackage.json": "package", "dataset.jsonld": "dataset", "cdf.json": "cdf"}
    values = {
        "words": words,
        "contest": wording.title(contest.title),
        "contest_href": f"{root}{language_folder(pages.language)}{view['path'].removesuffix('json')}html",
        "release": view["release"],
        "released": view["released"],
        "released_local": wording.time(view["released"]),
        "descriptions": [(f"{name}.{suffix}", words[key]) for suffix, key in described.items()],
        "files": [
            (areas.names[portion.first], file.rpartition("/")[2], wording.size(listing[file][0]), listing[file][1])
            for file, _, portion in data_files(definition, contest)
        ],
        # Within a script element no end tag may stand, whatever an area is called.
        "dataset": Markup(_encode(dataset(definition, contest, view, listing)).decode().replace("<", "\\u003c")),  # noqa: S704
    }
    title = f"{words['title']}: {values['contest']} – {wording.title(definition.election.title)}"
    return path, pages.other_page("data.html", path, title, values)


def dataset(definition: Definition, contest: Contest, view: View, listing: Listing) -> dict[str, Any]:
    """schema.org's Dataset with every file as a DataDownload."""
    election, top = definition.election, top_row(definition, contest)
    base = f"{election.address}{data_path(definition, contest, top).rpartition('/')[0]}/" if election.address else ""
    return {
        "@context": "https://schema.org/",
        "@type": "Dataset",
        "name": f"{election.title.id} – {contest.title.id}",
        "alternateName": f"{election.title.en} – {contest.title.en}",
        "description": f"{election.title.en}, {contest.title.en}: votes and ballot counts of every polling station, their sums for every area, and "
        "the official recapitulation where it was handed in. Signed; every change with its reason.",
        "identifier": f"{election.id}/{contest.id}",
        "version": str(view["release"]),
        "dateModified": view["released"],
        "temporalCoverage": election.date.isoformat(),
        "spatialCoverage": definition.areas.names[top],
        "isAccessibleForFree": True,
        "distribution": [
            {
                "@type": "DataDownload",
                "name": path.rpartition("/")[2],
                "contentUrl": f"{base}{path.rpartition('/')[2]}",
                "encodingFormat": _MEDIA_TYPES[_suffix(path)],
                "contentSize": str(listing[path][0]),
                "sha256": listing[path][1],
            }
            for path, _, _ in data_files(definition, contest)
        ],
    }


def _data_package(definition: Definition, contest: Contest, view: View, listing: Listing) -> dict[str, Any]:  # fmt: skip
    """A descriptor of the Data Package standard; paths are relative to it."""
    election = definition.election
    return {
        "$schema": "https://datapackage.org/profiles/2.0/datapackage.json",
        "name": f"{election.id}-{contest.id}",
        "title": f"{election.title.en} – {contest.title.en}",
        "version": str(view["release"]),
        "created": view["released"],
        **({"homepage": election.address} if election.address else {}),
        "resources": [
            _resource(definition, contest, path, table, portion, listing[path])
            for path, table, portion in data_files(definition, contest)
        ],
    }


def _resource(definition: Definition, contest: Contest, path: str, table: str, portion: Portion, file: tuple[int, str]) -> dict[str, Any]:  # fmt: skip
    name, suffix = path.rpartition("/")[2], _suffix(path)
    area = definition.areas.names[portion.first]
    told = {
        "name": name.replace("_", "-"),
        "path": name,
        "title": f"{area}: {_ENGLISH[table]}"
        if table
        else f"{area}: report in NIST's Common Data Format (SP 1500-100)",
        "format": suffix.removesuffix(".gz").rpartition(".")[2],
        "mediatype": _MEDIA_TYPES[suffix],
        "bytes": file[0],
        "hash": f"sha256:{file[1]}",
    }
    if suffix == "csv.gz":
        told |= {"compression": "gz", "encoding": "utf-8", "type": "table"}
    return told | ({"schema": _table_schema(definition, contest, table)} if table else {})


def _table_schema(definition: Definition, contest: Contest, table: str) -> dict[str, Any]:
    keys: dict[str, Sequence[str]] = {
        "areas": ["area"],
        "stations": [f"area_{definition.election.levels[-1].id}", "station"],
    }
    fields = [{"name": one.name, "type": one.type, "description": one.about} for one in columns(definition, contest, table)]  # fmt: skip
    return {
        "$schema": "https://datapackage.org/profiles/2.0/tableschema.json",
        "fields": fields,
        "primaryKey": keys[table],
        "missingValues": [""],
    }


def _suffix(path: str) -> str:
    return next(suffix for suffix in _MEDIA_TYPES if path.endswith(f".{suffix}"))
