"""The headers of the public site: one source for the publisher's and the mirrors' servers, for object storage and for a CDN's configuration.

A path here is relative to the public root, `<election>/…` (docs/formats.md, "Public tree").
"""

import re
from functools import lru_cache
from pathlib import PurePosixPath
from posixpath import splitext

__all__ = ["IMMUTABLE", "PAGE_STYLES", "SECURITY_HEADERS", "cache_control", "content_type", "headers_for"]

# The style sheet that each page carries (site_templates/assets/terbit.css as builder/templates.py compacts it), the newest first: a mirror that was
# updated later or earlier than the site still shows it. A site with a style sheet of its own links to it.
# Nothing inline runs, nothing foreign loads, and a script cannot turn text into markup: that is what stands between a
# hostile name and a reader, should a template ever fail to escape it. The one Trusted Types policy lets through the
# address of the checker (site_templates/assets/periksa.js). The checker itself repeats this policy for what it answers
# with: site_templates/check/headers.js.
PAGE_STYLES = ("'sha256-YbnkwhU7U8i4Rh3EOwaXhoAkiU6cfrMaueSBJjf53zk='",)
PAGE_POLICY = (
    f"default-src 'none'; script-src 'self'; style-src 'self' {' '.join(PAGE_STYLES)}; img-src 'self'; connect-src 'self'; worker-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types terbit"
)
# The checker asks mirrors, wherever they are; what they send counts only if it is what was signed.
CHECKER_POLICY = "default-src 'none'; connect-src *"
# Pages for other sites' frames (docs/formats.md, "Embeds"): nothing runs in them, and only they may be framed.
EMBED_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors *"
# Scans come from whoever hands in: a browser that opens one gives it no rights at all.
PACKAGE_POLICY = "default-src 'none'; sandbox; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

SECURITY_HEADERS = {
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()",
}

IMMUTABLE = "public, max-age=31536000, immutable"
POINTER = "public, max-age=10"
# A dead origin must not take the pages away: caches may show the old one for a day.
ALIAS = "public, max-age=60, stale-while-revalidate=60, stale-if-error=86400"
# Browsers ask for a newer checker once a day: an origin that was broken into cannot replace it in all of them at once.
CHECKER = "public, max-age=86400, s-maxage=60"

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".topojson": "application/json",
    ".jsonld": "application/ld+json",
    ".xml": "application/xml",
    ".csv": "text/csv; charset=utf-8",
    ".gz": "application/gzip",
    ".tar": "application/x-tar",
    ".zip": "application/zip",
    ".parquet": "application/vnd.apache.parquet",
    ".atom": "application/atom+xml",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".pdf": "application/pdf",
    **dict.fromkeys([".txt", ".toml", ".minisig", ".pub", ".sig", ".tlog-proof"], "text/plain; charset=utf-8"),
}
_PAGES = frozenset([".html", ".css", ".js"])
_VERSIONED = re.compile(r"[1-9][0-9]*\..+")


def headers_for(path: str) -> dict[str, str]:
    """All headers of a file but its length and ETag."""
    suffix = splitext(path)[1]
    # Browsers fetch objects from mirrors, those of pages too.
    is_data = suffix not in _PAGES or _folder(path) == "targets"
    headers = {
        "Content-Type": content_type(path),
        "Cache-Control": cache_control(path),
        "Content-Security-Policy": _policy(path),
        **SECURITY_HEADERS,
        # Data is for everybody's programs; pages are for reading where they are, but for those that are made to be framed.
        "Cross-Origin-Resource-Policy": "cross-origin" if is_data or _is_embed(path) else "same-origin",
    }
    if is_data:
        headers["Access-Control-Allow-Origin"] = "*"
    return headers


def _policy(path: str) -> str:
    if _in_package(path):
        return PACKAGE_POLICY
    # Also where an election's own folder is served as the root.
    if "sw.js" in {path, path.partition("/")[2]}:
        return CHECKER_POLICY
    return EMBED_POLICY if _is_embed(path) else PAGE_POLICY


def content_type(path: str) -> str:
    """By the file's ending alone, which of a scan may be in capitals. A page within a package is not shown as one; an unknown ending is bytes."""
    suffix = splitext(path)[1].lower()
    if suffix in _PAGES and _in_package(path):
        return "text/plain; charset=utf-8"
    if path.endswith("/log/checkpoint"):
        return "text/plain; charset=utf-8"
    return _TYPES.get(suffix, "application/octet-stream")


def cache_control(path: str) -> str:
    """Names that hold a hash or a version never change; pointers and aliases are asked for again soon."""
    folder, name = _folder(path), path.rpartition("/")[2]
    if folder in {"targets", "packages"} or (folder == "metadata" and _VERSIONED.fullmatch(name)):
        return IMMUTABLE
    if folder == "log" and name != "checkpoint":
        return IMMUTABLE
    if name == "sw.js" and not folder:
        return CHECKER
    return POINTER if name in {"timestamp.json", "latest.json", "checkpoint"} else ALIAS


def _is_embed(path: str) -> bool:
    """Also where an election's own folder is served as the root."""
    return "embed" in _parts(path)[:2] and path.endswith(".html")


def _in_package(path: str) -> bool:
    """Also where an election's own folder is served as the root: what strangers handed in has rights nowhere."""
    return "packages" in _parts(path)[:2]


def _folder(path: str) -> str:
    parts = _parts(path)
    return parts[1] if len(parts) > 2 else ""


def _parts(path: str) -> tuple[str, ...]:
    folder, _, name = path.rpartition("/")
    return (*_folder_parts(folder), name) if name else _folder_parts(folder)


@lru_cache(maxsize=4096)
def _folder_parts(folder: str) -> tuple[str, ...]:
    """A nation has some thousands of folders and half a million files in them."""
    return PurePosixPath(folder).parts
