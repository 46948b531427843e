"""Content pages: `pages/{id,en}/<slug>.md`, Markdown to clean HTML.

Format: docs/formats.md, "Election definition". Markdown may hold HTML, and a page may come from somebody else than the
operator: what nh3 does not know to be harmless is dropped, so a page can bring no script, style, form or frame.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import markdown  # type: ignore[import-untyped]
import nh3

from builder import limits
from builder.errors import ContentError
from builder.languages import LANGUAGES, language_folder

__all__ = ["RESERVED_SLUGS", "ContentPage", "parse_page", "read_pages"]

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z")
RESERVED_SLUGS = frozenset(["404", "index", "portal", "gone", "gone-1", "gone-2", "gone-3"])
_ATTRIBUTES = {
    "a": {"href", "title", "hreflang"},
    "img": {"src", "alt", "title", "width", "height"},
    "ol": {"start"},
    "*": {"id", "lang"},
}
_SCHEMES = {"http", "https", "mailto"}
_TAGS = nh3.ALLOWED_TAGS - {"center", "map", "area", "strike", "tt"}


@dataclass(frozen=True)
class ContentPage:
    """One page: `html` is clean and holds the title's heading."""

    slug: str
    language: str
    title: str
    html: str

    @property
    def path(self) -> str:
        """Where it is published, relative to the election."""
        return f"{language_folder(self.language)}{self.slug}.html"


def read_pages(directory: Path) -> list[ContentPage]:
    """All pages of a `pages` folder, by language and slug. A folder that is not there has none.

    Raises:
        ContentError: with file and line.
    """
    pages = []
    for language in LANGUAGES:
        for path in sorted((directory / language).glob("*.md")):
            try:
                size = path.stat().st_size
                if size > limits.PAGE_FILE:
                    raise ContentError(f"{size} bytes; at most {limits.PAGE_FILE} are allowed", file=path, rule="size")
                data = path.read_bytes()
            except OSError as error:
                raise ContentError(f"cannot be read: {error.strerror}", file=path, rule="readable") from error
            pages.append(parse_page(data, path.stem, language, path))
    return pages


def parse_page(data: bytes, slug: str, language: str, file: str | Path) -> ContentPage:
    """A Markdown file's bytes to a page.

    Raises:
        ContentError: bad slug, not UTF-8, too large, too deep, or the first line is not a title.
    """
    if not _SLUG.match(slug) or slug in RESERVED_SLUGS:
        raise ContentError(
            f"{slug!r} cannot be a page's name; use a-z, 0-9 and inner hyphens, and none of {', '.join(sorted(RESERVED_SLUGS))}",
            file=file,
            rule="slug",
        )
    if len(data) > limits.PAGE_FILE:
        raise ContentError(f"{len(data)} bytes; at most {limits.PAGE_FILE} are allowed", file=file, rule="size")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ContentError("not UTF-8; save the file as UTF-8", file=file, line=line, rule="encoding") from error
    first = text.split("\n", 1)[0]
    title = first.removeprefix("# ").strip()
    if not first.startswith("# ") or not title:
        raise ContentError("the first line must be the title: '# Title'", file=file, line=1, rule="title")
    try:
        html: str = markdown.markdown(text, extensions=["tables", "fenced_code"], output_format="html")
    except RecursionError:
        raise ContentError(
            "lists or quotes lie too deep in one another; write fewer", file=file, rule="depth"
        ) from None
    clean = nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes=_SCHEMES,
        link_rel="noopener noreferrer",
    )
    return ContentPage(slug, language, title, clean)
