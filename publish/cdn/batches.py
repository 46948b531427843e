"""What a CDN is asked to forget: from changed paths to the requests that its kind wants.

Objects never change, so a CDN may keep them for ever. After a release it forgets the changed aliases and the pointers, and no more: the rest stays in its caches.

A path here is relative to a target's public addresses (`urls`), without `/` before it: `<election>/…`, or the domain's own `index.html`.
"""

import hashlib
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from publish.targets import TIMESTAMP

__all__ = [
    "POINTERS",
    "Ban",
    "CloudFront",
    "HttpPurge",
    "HttpRequest",
    "Invalidation",
    "Place",
    "Purge",
    "PurgeApi",
    "Request",
    "asked_as",
    "requests",
]

POINTERS = (TIMESTAMP, "latest.json")
INVALIDATION_PATHS = 3_000  # in progress at once (Amazon CloudFront Developer Guide, "Quotas on invalidations")
INVALIDATION_WILDCARDS = 15
BAN_LENGTH = 4_000  # Varnish takes header lines of 8 kB
URLS_MARK, PATHS_MARK = "{urls}", "{paths}"

Address = Annotated[str, msgspec.Meta(pattern=r"^https?://[^/?#\s]+/?\Z")]
SecretFile = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
HeaderName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9-]{1,64}\Z")]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
T = TypeVar("T")


class CloudFront(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="cloudfront"):
    """A distribution of Amazon CloudFront. Above `all_above` paths whole folders of aliases are named, since AWS bills by path."""

    distribution: Annotated[str, msgspec.Meta(pattern=r"^[A-Z0-9]{1,64}\Z")]
    profile: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] | None = None
    all_above: Count = 100
    on_renew: bool = False


class HttpPurge(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="purge"):
    """HTTP PURGE of each address, sent to the address itself or to each of `servers`. `headers`: name → file with the secret value."""

    servers: tuple[Address, ...] = ()
    headers: dict[HeaderName, SecretFile] = {}
    on_renew: bool = True


class Ban(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="ban"):
    """One HTTP BAN with a pattern of all paths in the header `X-Ban`, for Varnish; `servers` and `headers` as of `HttpPurge`."""

    servers: tuple[Address, ...] = ()
    headers: dict[HeaderName, SecretFile] = {}
    on_renew: bool = True


class PurgeApi(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="request"):
    """An HTTP API that takes JSON. In `body`, the text `{urls}` stands for the list of `batch` addresses at most, `{paths}` for their paths.

    Above `all_above` addresses, if it is given, one request with `all_body` takes the place of all batches.
    """

    url: Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s]+\Z", max_length=4096)]
    body: dict[str, Any]
    method: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{1,16}\Z")] = "POST"
    headers: dict[HeaderName, SecretFile] = {}
    batch: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 30
    all_above: Count | None = None
    all_body: dict[str, Any] | None = None
    on_renew: bool = True


Purge = CloudFront | HttpPurge | Ban | PurgeApi


@dataclass(frozen=True)
class Place:
    """Where the public reads a target: its base addresses, each ending with `/`, and the election's folder below them."""

    urls: tuple[str, ...]
    election: str


@dataclass(frozen=True)
class HttpRequest:
    """One request; `paths` are forgotten when it succeeds. `headers` may hold a secret."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Invalidation:
    """One call of CloudFront's CreateInvalidation. The same `reference` again is the same invalidation, and is not billed again."""

    reference: str
    items: tuple[str, ...]
    paths: tuple[str, ...]


Request = HttpRequest | Invalidation


def asked_as(election: str, paths: Iterable[str]) -> list[str]:
    """Every path by which caches may know some files of an election (`../` leads to the domain), sorted: an index is its folder's page too."""
    found = set()
    for path in paths:
        full = posixpath.normpath(f"{election}/{path}")
        found.add(full)
        folder, _, name = full.rpartition("/")
        if name == "index.html":
            found.add(f"{folder}/" if folder else "")
    return sorted(found)


def requests(
    purge: Purge, paths: Sequence[str], place: Place, reference: str, secrets: Mapping[str, str]
) -> Iterator[Request]:
    """What to send so that `paths` are forgotten: the same for the same arguments. `secrets` are the values of the headers."""
    match purge:
        case CloudFront():
            yield from _invalidations(purge, paths, place, reference)
        case HttpPurge():
            for base, host in _ways(purge.servers, place.urls):
                for path in paths:
                    yield HttpRequest("PURGE", base + quote(path), {**secrets, "Host": host}, None, (path,))
        case Ban():
            for base, host in _ways(purge.servers, place.urls):
                headers = {**secrets, "Host": host, "X-Ban": _pattern(paths, urlsplit(base).path, place.election)}
                yield HttpRequest("BAN", base, headers, None, tuple(paths))
        case PurgeApi():
            yield from _api_requests(purge, paths, place, secrets)


def _invalidations(purge: CloudFront, paths: Sequence[str], place: Place, reference: str) -> Iterator[Invalidation]:
    bases = dict.fromkeys(urlsplit(url).path for url in place.urls)
    wide = len(paths) * len(bases) > purge.all_above
    named = _folders(paths, place.election) if wide else [(quote(path), (path,)) for path in paths]
    for base in bases:
        for batch in _batches(named, INVALIDATION_PATHS):
            items = tuple(base + item for item, _ in batch)
            digest = hashlib.sha256("\n".join(items).encode()).hexdigest()[:16]
            stands_for = tuple(path for _, inner in batch for path in inner)
            yield Invalidation(f"terbit-{place.election}-{reference}-{digest}", items, stands_for)


def _folders(paths: Sequence[str], election: str) -> list[tuple[str, tuple[str, ...]]]:
    """Whole folders of aliases in place of their files, with the paths that each stands for. The objects' folders are spared if AWS allows as many wildcards."""
    wide: dict[str, list[str]] = {}
    pointers = asked_as(election, POINTERS)
    for path in paths:
        top, *below = path.removeprefix(f"{election}/").split("/")
        is_alias = path.startswith(f"{election}/") and below and path not in pointers
        wide.setdefault(f"{election}/{top}/*" if is_alias else quote(path), []).append(path)
    if sum(name.endswith("*") for name in wide) <= INVALIDATION_WILDCARDS:
        return [(name, tuple(for_paths)) for name, for_paths in wide.items()]
    own = [(quote(path), (path,)) for path in paths if not path.startswith(f"{election}/")]
    return [(f"{election}/*", tuple(path for path in paths if path.startswith(f"{election}/"))), *own]


def _pattern(paths: Sequence[str], base: str, election: str) -> str:
    """Matches these paths below `base`; where that would be too long, all that is not immutable."""
    exact = f"^{re.escape(base)}({'|'.join(re.escape(quote(path)) for path in paths)})$"
    if len(exact) <= BAN_LENGTH:
        return exact
    immutable = r"(targets|packages|log/tile)/|metadata/[1-9]"
    own = [re.escape(quote(path)) for path in paths if not path.startswith(f"{election}/")]
    return f"^{re.escape(base)}({'|'.join([f'{re.escape(election)}/(?!{immutable}).*', *own])})$"


def _ways(servers: Sequence[str], urls: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Where requests for each public address go, and its host name: caches know a file by path and host."""
    for url in urls:
        parts = urlsplit(url)
        for server in servers or (f"{parts.scheme}://{parts.netloc}",):
            yield f"{server.rstrip('/')}{parts.path}", parts.netloc


def _api_requests(
    purge: PurgeApi, paths: Sequence[str], place: Place, secrets: Mapping[str, str]
) -> Iterator[HttpRequest]:
    pairs = [(url + quote(path), path) for url in place.urls for path in paths]
    headers = {**secrets, "Content-Type": "application/json"}
    if purge.all_above is not None and purge.all_body is not None and len(pairs) > purge.all_above:
        body = msgspec.json.encode(purge.all_body)
        yield HttpRequest(purge.method, purge.url, headers, body, tuple(paths))
        return
    for batch in _batches(pairs, purge.batch):
        lists = {URLS_MARK: [url for url, _ in batch], PATHS_MARK: [urlsplit(url).path for url, _ in batch]}
        body = msgspec.json.encode(_fill(purge.body, lists))
        yield HttpRequest(purge.method, purge.url, headers, body, tuple(path for _, path in batch))


def _fill(value: object, lists: Mapping[str, list[str]]) -> object:
    """`value` with each list in the place of its mark."""
    if isinstance(value, str):
        return lists.get(value, value)
    if isinstance(value, Mapping):
        return {key: _fill(inner, lists) for key, inner in value.items()}
    if isinstance(value, list):
        return [_fill(inner, lists) for inner in value]
    return value


def _batches(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
