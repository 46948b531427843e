"""TOML that people write: bytes to a checked struct, or an error that names file, line, field and rule."""

import re
import tomllib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from builder.errors import BuilderError

__all__ = ["convert_toml", "line_of", "parse_toml"]

T = TypeVar("T")


def parse_toml(data: bytes, *, file: str | Path, error: type[BuilderError]) -> dict[str, Any]:
    """The tree of a TOML file; an `error` for what is not UTF-8 or not TOML."""
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
) -> T:
    """The tree, or its part at `where`, as a `kind`; `data` are the file's bytes, to find the line of what is wrong.

    Without `rule` an error has the rule `unknown-key` or `type`.
    """
    try:
        return msgspec.convert(tree, kind)
    except msgspec.ValidationError as failure:
        problem, _, path = str(failure).partition(" - at ")
        inner = path.strip("`").removeprefix("$").removeprefix(".")
        unknown = re.search(r"unknown field `(.+)`", problem)
        word = "" if unknown else _word_at(tree, inner)
        field = ".".join(filter(None, (where, inner, unknown and unknown.group(1))))
        line = line_of(data, re.sub(r"\[[^\]]*\]$", "", field).rsplit(".", 1)[-1], word)
        code = rule or ("unknown-key" if unknown else "type")
        raise error(problem, file=file, line=line, field=field or None, rule=code) from None


def line_of(data: bytes, key: str, word: str = "") -> int | None:
    """The last line that sets `key` (and holds `word`): TOML readers keep no positions, and the last of two is the one to mend."""
    setting = re.compile(rf"(?<![\w-]){re.escape(key)}[\"']?\s*=")
    holding = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)" if word else "")
    lines = data.decode("utf-8", "replace").splitlines() if key else []
    found = [number for number, line in enumerate(lines, 1) if setting.search(line) and holding.search(line)]
    return found[-1] if found else None


def _word_at(tree: object, field: str) -> str:
    """The value at `contests[0].id` as it may stand in the file, to tell its line from others that set the same key."""
    for part in re.findall(r"[^.\[\]]+", field):
        if isinstance(tree, list) and part.isdecimal():
            tree = tree[int(part)]
        elif isinstance(tree, dict):
            tree = tree.get(part)
    return str(tree) if isinstance(tree, str | int) and not isinstance(tree, bool) else ""
