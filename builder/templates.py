"""Templates as the pages use them: from a mapping, autoescape always, and texts put in before compiling.

A text of the interface stands in a template as `[[ key ]]`. It is replaced, escaped, when the template is compiled:
90,000 pages then pay nothing for their constant words, and an unknown key is an error before the first page.

jinja2 renders whatever is few; minijinja, by the same author and in the same language, the pages of areas (docs/adr/0003).
"""

import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
import jinja2.sandbox
import minijinja
from jinja2.bccache import Bucket
from jinja2.utils import LRUCache
from markupsafe import Markup, escape

from builder import limits
from builder.errors import ContentError
from builder.figures import station_name
from builder.toml import parse_toml

__all__ = [
    "TEMPLATE_SUFFIXES",
    "FastTemplates",
    "Templates",
    "Texts",
    "as_ascii",
    "compact_style",
    "read_templates",
    "read_texts",
]

TEMPLATE_SUFFIXES = frozenset([".css", ".html", ".svg", ".toml"])
_SEPARATOR = "\x1f"
_TEXT = re.compile(r"\[\[ ([a-z_]+) \]\]")
_BRACE = re.compile(r"[{}]")
_PLACE = re.compile(r"\{[a-z_]+(:02d)?\}")
_MACRO = re.compile(r"{% macro ([a-z]\w*)")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_CODE_OR_NOT_ASCII = re.compile(r"\{[{%#].*?[}%#]\}|[^\x00-\x7f]+", re.DOTALL)

Texts = Mapping[str, Any]


def read_templates(directory: Path) -> dict[str, str]:
    """The templates and tables of texts in `directory`: POSIX path relative to it → text, in the paths' order.

    Raises:
        ContentError: a file is unreadable, too large or not UTF-8.
    """
    found = {}
    for path in sorted(directory.rglob("*")):
        if path.suffix in TEMPLATE_SUFFIXES and path.is_file():
            try:
                data = path.read_bytes()
            except OSError as error:
                raise ContentError(f"cannot be read: {error.strerror}", file=path, rule="readable") from error
            if len(data) > limits.PAGE_FILE:
                raise ContentError(f"{len(data)} bytes; at most {limits.PAGE_FILE} are allowed", file=path, rule="size")
            try:
                found[path.relative_to(directory).as_posix()] = data.decode("utf-8")
            except UnicodeDecodeError as error:
                line = data.count(b"\n", 0, error.start) + 1
                raise ContentError(
                    "not UTF-8; save the file as UTF-8", file=path, line=line, rule="encoding"
                ) from error
    return found


def read_texts(sources: Mapping[str, str], language: str) -> Texts:
    """The table of texts `texts/<language>.toml`.

    Raises:
        ContentError: there is no such table, or it is not TOML.
    """
    file = f"texts/{language}.toml"
    if file not in sources:
        raise ContentError("missing; it holds the texts of the pages", file=file, rule="missing-file")
    texts = parse_toml(sources[file].encode(), file=file, error=ContentError)
    # What is filled in is named and no more: Python's format strings could walk from a value to whatever it leads to.
    if found := next((text for text in _every(texts) if _BRACE.search(_PLACE.sub("", text))), None):
        raise ContentError(f"{found!r}: a place to fill in is one word in braces", file=file, rule="texts")
    return texts


def _every(table: object) -> Iterator[str]:
    if isinstance(table, str):
        yield table
    elif isinstance(table, dict | list):
        for one in table.values() if isinstance(table, dict) else table:
            yield from _every(one)


def compact_style(css: str) -> str:
    """A style sheet without comments and needless space: every page carries it, and the policy names it by its hash."""
    flat = "".join(line.strip() for line in _COMMENT.sub("", css).split("\n"))
    compact = re.sub(r" *([{};,]) *|(?<=:) +|(?<=@media) (?=\()", r"\1", flat).replace(";}", "}")
    # A space ends the escape of a character, unless what follows does.
    return re.sub(r"[^\x00-\x7f](\"?)", lambda found: f"\\{ord(found[0][0]):x}{found[1] or ' '}", compact)


def as_ascii(text: str) -> Markup:
    """A text, escaped, with a character reference for each character that is not ASCII.

    Python makes and encodes a page in a tenth of the time where it is ASCII: that is 30 of a village page's 190 µs. So whatever stands on
    most pages is written this way; what is not only costs its page that time.
    """
    return Markup(str(escape(text)).encode("ascii", "xmlcharrefreplace").decode())  # noqa: S704  # escaped


def cells(texts: Iterable[str]) -> Markup:
    """Template filter: texts as `<td>` cells. One escape for a row: most of a page is figures."""
    row = str.replace(escape(_SEPARATOR.join(texts)), _SEPARATOR, "<td>")
    return Markup(f"<td>{row}")  # noqa: S704  # escaped before the tags went in


def _filters(words: Mapping[str, str]) -> dict[str, Callable[..., str]]:
    """What both engines know beyond their own: `cells`, and `station`, the name of a station by its number."""
    return {"cells": cells, "station": partial(station_name, words.get("station", ""))}


class _Compiled(jinja2.BytecodeCache):
    """What this process has compiled: compiling is half of a small release, and whoever follows or audits many makes the same site again and again.

    Sites share code and nothing else, and code follows from its source alone: what one site's templates did, another's cannot see.
    """

    _codes = LRUCache(limits.COMPILED_TEMPLATES)

    def __init__(self, station: str | None) -> None:
        self._station = station  # jinja applies filters to constants when it compiles

    def get_source_checksum(self, source: str) -> str:
        return source

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._codes.get((self._station, bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._codes[self._station, bucket.key, bucket.checksum] = bucket.code


class Templates:
    """The templates in one language."""

    def __init__(self, sources: Mapping[str, str], language: str, words: Mapping[str, str]) -> None:
        self._sources, self._language, self._words = sources, language, words
        self._macros: dict[str, Callable[..., str]] = {}
        # Whoever audits a site renders with templates that a stranger published: they must not reach beyond their values.
        self._environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
            loader=jinja2.FunctionLoader(self._load),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            cache_size=-1,
            bytecode_cache=_Compiled(words.get("station")),
        )
        self._environment.filters |= _filters(words)
        del (
            self._environment.filters["random"],
            self._environment.globals["lipsum"],
        )  # a rebuild has to give the same bytes
        for name in sorted(sources):
            if name.startswith("components/"):
                self._add_component(name)

    def render(self, name: str, values: dict[str, Any]) -> str:
        """Fill in a template.

        Raises:
            ContentError: the template is broken or takes a value that is not there; with the template's file and line.
        """
        try:
            return self._environment.get_template(name).render(values)
        except (jinja2.TemplateError, TypeError, ValueError) as error:
            raise self._mendable(error, name) from error

    def part(self, macro: str, *arguments: object) -> Markup:
        """Call one macro of the components. Raises like `render`."""
        try:
            return Markup(self._macros[macro](*arguments))  # noqa: S704  # rendered with autoescape
        except (jinja2.TemplateError, TypeError, ValueError) as error:
            raise self._mendable(error, macro) from error

    def _add_component(self, name: str) -> None:
        """Make a component's macros known to every template: an import would be looked up again for every page."""
        try:
            module = self._environment.get_template(name).module
        except (jinja2.TemplateError, TypeError, ValueError) as error:
            raise self._mendable(error, name) from error
        macros = {macro: value for macro, value in vars(module).items() if not macro.startswith("_")}
        self._environment.globals.update(macros)
        self._macros.update(macros)

    def _mendable(self, error: Exception, name: str) -> ContentError:
        """The same error with the template's file and line."""
        if isinstance(error, jinja2.TemplateSyntaxError):
            return ContentError(error.message or "broken", file=error.name, line=error.lineno, rule="template")
        if isinstance(error, jinja2.TemplateNotFound):
            return ContentError(f"no template {error.name}", file=name, rule="template")
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in self._sources]
        if not frames:
            return ContentError(str(error), file=name, rule="template")
        return ContentError(str(error), file=frames[-1].filename, line=frames[-1].lineno, rule="template")

    def _load(self, name: str) -> tuple[str, str, None] | None:
        if name not in self._sources:
            return None
        # Jinja names the file in tracebacks by the second value: that is how an error finds its line.
        return _ready(self._sources, name, self._language, self._words), name, None


class FastTemplates:
    """The same templates in one language, rendered by minijinja: for what is rendered 90,000 times."""

    def __init__(self, sources: Mapping[str, str], language: str, words: Mapping[str, str]) -> None:
        macros = {name: _MACRO.findall(source) for name, source in sources.items() if name.startswith("components/")}

        def imports(template: str) -> str:
            """The components' macros that a template calls; on its first line, so that errors keep their lines."""
            called = {
                name: [macro for macro in every if f"{macro}(" in template] for name, every in sorted(macros.items())
            }
            return "".join(f'{{% from "{name}" import {", ".join(some)} %}}' for name, some in called.items() if some)

        self._environment = minijinja.Environment(
            templates={
                name: ("" if name in macros else imports(source)) + _ready(sources, name, language, words)
                for name, source in sources.items()
                if name.endswith((".html", ".css"))
            },
            filters=_filters(words),
            auto_escape_callback=lambda _: True,
            undefined_behavior="strict",
            trim_blocks=True,
            lstrip_blocks=True,
            pycompat=False,
        )

    def render(self, name: str, values: dict[str, Any]) -> str:
        """Fill in a template.

        Raises:
            ContentError: the template is broken or takes a value that is not there; with the template's file and line.
        """
        try:
            return self._environment.render_template(name, **values)
        except minijinja.TemplateError as error:
            what = error.detail or error.message
            raise ContentError(what, file=error.name or name, line=error.line, rule="template") from error
        except (TypeError, ValueError) as error:
            raise ContentError(str(error), file=name, rule="template") from error


def _ready(sources: Mapping[str, str], name: str, language: str, words: Mapping[str, str]) -> str:
    """A template's source as it is compiled."""
    source = sources[name]
    if name.endswith(".css"):
        return compact_style(source)
    text = put_words(source, name, language, words)
    # Code stays as it is: what is not ASCII in it is a text in quotes.
    return _CODE_OR_NOT_ASCII.sub(lambda found: found[0] if found[0][0] == "{" else as_ascii(found[0]), text)


def put_words(source: str, name: str, language: str, words: Mapping[str, str]) -> str:
    """A template's source with each `[[ key ]]` replaced by its escaped text. Raises `ContentError` for an unknown key."""

    def word(found: re.Match[str]) -> str:
        if (text := words.get(found[1])) is None:
            line = found.string.count("\n", 0, found.start()) + 1
            problem = f"no text {found[1]!r} in [page] of texts/{language}.toml"
            raise ContentError(problem, file=name, line=line, rule="template")
        # The election's own titles are among the words: a brace in one must not become template code.
        return str.replace(escape(text), "{", "&#123;")

    return _TEXT.sub(word, source)
