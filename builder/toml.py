"""TOML that people write: bytes to a checked struct, or an error that names file, line, field and rule."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from builder import limits
from builder.errors import BuilderError
from builder.toml_words import plain

__all__ = ["convert_toml", "line_of", "parse_toml"]

T = TypeVar("T")
_NAME = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")
# One `a.a.a.…` of 64 kilobytes makes tomllib take over two gigabytes: it remembers each beginning of a dotted key.
_DEEP_KEY = re.compile(
    rb"""^[ \t]*+\[{0,2}+(?:[ \t]*+(?:[\w-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')[ \t]*+\.){%d}"""
    % limits.TOML_KEY_PARTS_COUNT,
    re.MULTILINE,
)
_SETTING = re.compile(rf"\s*(\[\[?)?\s*((?:{_NAME.pattern})(?:\s*\.\s*(?:{_NAME.pattern}))*)\s*(?(1)\]|=)")


def parse_toml(data: bytes, *, file: str | Path, error: type[BuilderError]) -> dict[str, Any]:
    """The tree of a TOML file; an `error` for what is not UTF-8 or not TOML, and for keys deeper than any of ours."""
    if data.startswith(b"\xef\xbb\xbf"):
        raise error("begins with a byte-order mark; save it as UTF-8 without BOM", file=file, line=1, rule="encoding")
    if deep := _DEEP_KEY.search(data):
        where = data.count(b"\n", 0, deep.start()) + 1
        raise error(f"a key of more than {limits.TOML_KEY_PARTS_COUNT} parts", file=file, line=where, rule="syntax")
    try:
        return tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as problem:
        where = data.count(b"\n", 0, problem.start) + 1
        raise error("not UTF-8; save the file as UTF-8", file=file, line=where, rule="encoding") from None
    except (ValueError, RecursionError) as problem:  # tomllib lets int()'s own errors through
        said = str(problem)
        at = re.search(r" \(at line (\d+), column \d+\)$", said)
        line = int(at.group(1)) if at else None
        said = said[: at.start()] if at else said
        raise error(f"not TOML: {said}", file=file, line=line, rule="syntax") from None


def convert_toml(
    tree: object,
    kind: type[T],
    data: bytes,
    *,
    file: str | Path,
    error: type[BuilderError],
    where: str = "",
    rule: str | None = None,
    forms: Mapping[str, str] = MappingProxyType({}),
) -> T:
    """The tree, or its part at `where`, as a `kind`; `data` are the file's bytes, to find the line of what is wrong.

    Without `rule` an error has the rule `unknown-key` or `type`. `forms` says in words, by key, what a text's pattern asks for.
    """
    try:
        return msgspec.convert(tree, kind)
    except msgspec.ValidationError as failure:
        # It repeats a stranger's key or word, as long as the file may be; what looks for its line takes time for each letter.
        if len(str(failure)) > limits.TEXT_CHARACTERS:
            problem = "there is a key, or a word, that is too long to be one of those that may stand here"
            raise error(problem, file=file, rule=rule or "unknown-key") from None
        problem, _, path = str(failure).partition(" - at ")
        inner = path.strip("`").removeprefix("$").removeprefix(".")
        named = re.search(r"(unknown|required) field `(.+)`", problem)
        place = ".".join(filter(None, (where, inner)))
        field = ".".join(filter(None, (place, named and named[2])))
        missing = named is not None and named[1] == "required"
        line = _line_at(data, place if missing else field, _word_at(tree, inner))
        code = rule or ("unknown-key" if named and not missing else "type")
        said = plain(problem, forms, re.sub(r"\[[^\]]*\]$", "", inner).rpartition(".")[2])
        raise error(said, file=file, line=line, field=field or None, rule=code) from None


def _line_at(data: bytes, path: str, word: str) -> int | None:
    """The line of what stands at `path`, like `contests[0].title.en`, or of the nearest table or key around it that has a line of its own.

    `word`: a value that stands there, to find the line within a list that goes over several.
    """
    lines, settings = data.decode("utf-8", "replace").splitlines(), list(_settings(data))
    firsts = {found: at for at, (_, found) in reversed(list(enumerate(settings)))}
    key = re.sub(r"\[[^\]]*\]$", "", path).rpartition(".")[2]
    if "[...]" in path and (line := line_of(data, key, word)):  # msgspec does not say under which key of a table
        return line
    around = path
    while around:
        at = min((firsts[one] for one in (around, f"{around}[0]") if one in firsts), default=None)
        if at is not None:
            number = settings[at][0]
            if around == path:
                return number
            end = settings[at + 1][0] - 1 if at + 1 < len(settings) else len(lines)
            holding = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
            return next((at for at in range(number, end + 1) if word and holding.search(lines[at - 1])), number)
        around = around[: max(around.rfind("."), around.rfind("["), 0)]  # always shorter: a key may end with either
    return None


def _settings(data: bytes) -> Iterator[tuple[int, str]]:
    """Each line that begins a table or sets a key, with its path: TOML readers keep no positions."""
    table = ""
    counts: dict[str, int] = {}
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        if not (found := _SETTING.match(line[: limits.NAME_CHARACTERS])):
            continue
        bracket, name = found.groups()
        path, names = "" if bracket else table, _NAME.findall(name)
        for place, one in enumerate(names, 1):
            path = ".".join(filter(None, (path, one.strip("\"'"))))
            if bracket == "[[" and place == len(names):
                counts[path] = counts.get(path, -1) + 1
            if path in counts:
                path += f"[{counts[path]}]"
        table = path if bracket else table
        yield number, path


def line_of(data: bytes, key: str, word: str = "") -> int | None:
    """The last line that sets `key` (and holds `word`): TOML readers keep no positions, and the last of two is the one to mend."""
    setting = re.compile(rf"(?<![\w-]){re.escape(key)}[\"']?\s*=")
    holding = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)" if word else "")
    lines = data.decode("utf-8", "replace").splitlines() if key else []
    found = [number for number, line in enumerate(lines, 1) if setting.search(line) and holding.search(line)]
    return found[-1] if found else None


def _word_at(tree: object, field: str) -> str:
    """The value at `contests[0].id`, or the first one within it, as it may stand in the file: it tells its line from others."""
    for part in re.findall(r"[^.\[\]]+", field):
        if isinstance(tree, list) and part.isdecimal():
            tree = tree[int(part)]
        elif isinstance(tree, dict):
            tree = tree.get(part)
    while isinstance(tree, dict | list) and tree and field:
        tree = next(iter(tree.values() if isinstance(tree, dict) else tree))
    if isinstance(tree, bool) or not isinstance(tree, str | int) or (isinstance(tree, int) and abs(tree) >= 1 << 63):
        return ""
    return word if len(word := str(tree)) <= limits.NAME_CHARACTERS else ""
