"""The scripts that run in the browser: those in `assets/` of the templates, and the checker, modules in `check/` joined into one classic script each.

One file is replaced at once, so nobody runs half of an old checker and half of a new one; it needs one request on a poor
line; and it works from file:// and in browsers whose service workers know no modules. What is published is without
comments and spaces and with short names inside (docs/adr/0013); the sources are among the published inputs.
"""

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping

from builder.errors import ContentError

__all__ = ["compact_script", "join_modules", "scripts", "standalone_checker"]

FOLDER = "check/"
_IMPORT = re.compile(r'^import \{[\w, ]*\} from "\./([a-z0-9]+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:const|class|function|async function) \w)", re.MULTILINE)
_NAME = re.compile(r"^(?:const|let|class|function|async function) (\w+)", re.MULTILINE)
_LEFT_OVER = re.compile(r"^(?:(?:import|export)\b|(?:const|let) [^\w]|var ).*", re.MULTILINE)


def join_modules(files: Mapping[str, bytes], entry: str) -> bytes:
    """The classic script that does what the module `check/<entry>.js` of the templates' `files` does.

    The modules stand in one function, in the order in which they are needed: a name at the top of one is known in all,
    and stands for one thing.

    Raises:
        ContentError: a module is missing, imports or exports in another way than our modules do, or has a name of another's.
    """
    joined: dict[str, str] = {}
    _add(files, entry, joined, ())
    owners: dict[str, str] = {}
    for module, body in joined.items():
        for name in _NAME.findall(body):
            if (other := owners.setdefault(name, module)) != module:
                problem = f"{name} is a name at the top of {other}.js, too; joined they would be one: call it otherwise"
                raise ContentError(problem, file=f"{FOLDER}{module}.js", rule="script")
    return f'"use strict";\n(() => {{\n{"".join(joined.values())}}})();\n'.encode()


def compact_script(source: bytes, file: str) -> bytes:
    """The same classic script in fewer bytes; `file` is told where it cannot be read.

    Raises:
        ContentError: it is no JavaScript.
    """
    import minify  # brings a runtime of its own

    try:
        made: str = minify.string("text/javascript", source.decode("utf-8"))
        return made.encode()
    except ValueError as error:
        raise ContentError(f"no JavaScript: {error}", file=file, rule="script") from error


def scripts(files: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """What is published of the templates' `files` that checks: path in the election and content. Raises like `join_modules`."""
    yield "sw.js", compact_script(join_modules(files, "sw"), FOLDER + "sw.js")
    yield from standalone_checker(files)


def standalone_checker(files: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """The page that checks a results file, as `scripts` yields it: twice.

    `periksa-luring.html` has everything inside, to be kept on a disk and carried about; its policy names script and style
    by hash. `periksa.html` is for servers, whose policy lets nothing inline through: it has both beside it.
    """
    page, style = (_text(files, name) for name in ("standalone.html", "standalone.css"))
    script = compact_script(join_modules(files, "standalone"), FOLDER + "standalone.js").decode()
    yield "assets/pemeriksa.js", script.encode()
    yield "assets/pemeriksa.css", style.encode()
    inside = (f"<style>{style}</style>", _source(style), f"<script>{script}</script>", _source(script))
    beside = (
        '<link rel="stylesheet" href="pemeriksa.css">',
        "'self'",
        '<script src="pemeriksa.js"></script>',
        "'self'",
    )
    for name, parts in {"periksa-luring": inside, "periksa": beside}.items():
        made = page
        for mark, text in zip(("@style@", "@style-source@", "@script@", "@script-source@"), parts, strict=True):
            made = made.replace(mark, text)
        yield f"assets/{name}.html", made.encode()


def _source(text: str) -> str:
    """A policy's name for an inline script or style (CSP Level 3, 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _text(files: Mapping[str, bytes], name: str) -> str:
    if FOLDER + name not in files:
        raise ContentError("missing; the checker is made from it", file=FOLDER + name, rule="missing-file")
    return files[FOLDER + name].decode("utf-8")


def _add(files: Mapping[str, bytes], name: str, joined: dict[str, str], importers: tuple[str, ...]) -> None:
    file = f"{FOLDER}{name}.js"
    source = _text(files, f"{name}.js")
    for imported in _IMPORT.findall(source):
        if imported in (*importers, name):
            raise ContentError(f"imports {imported}.js, which imports it", file=file, rule="script")
        if imported not in joined:
            _add(files, imported, joined, (*importers, name))
    body = _EXPORT.sub("", _IMPORT.sub("", source))
    if left := _LEFT_OVER.search(body):
        raise ContentError(f"a line that cannot be joined: {left[0]}", file=file, rule="script")
    joined[name] = body
