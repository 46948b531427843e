"""The scripts that check a site in the browser: modules in `check/` of the templates, joined into one classic script each.

One file is replaced at once, so nobody runs half of an old checker and half of a new one; it needs one request on a poor
line; and it works from file:// and in browsers whose service workers know no modules. Joining is all that happens: what
is published is what is written, without comment lines and indentation.
"""

import base64
import hashlib
import re
from collections.abc import Mapping

from builder.errors import ContentError

__all__ = ["join_modules", "standalone_checker"]

FOLDER = "check/"
_IMPORT = re.compile(r'^import (\{[^}]*\}) from "\./([a-z0-9]+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:const|class|function|async function) (\w+))", re.MULTILINE)
_LEFT_OVER = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


def join_modules(files: Mapping[str, bytes], entry: str) -> bytes:
    """The classic script that does what the module `check/<entry>.js` of the templates' `files` does.

    Each module becomes a function that is called once and returns its exports, in the order in which they are needed.

    Raises:
        ContentError: a module is missing, or imports or exports in another way than our modules do.
    """
    joined: dict[str, str] = {}
    _add(files, entry, joined, ())
    return f'"use strict";\n(() => {{\n{"".join(joined.values())}}})();\n'.encode()


def standalone_checker(files: Mapping[str, bytes]) -> bytes:
    """The page that checks a results file from a disk: one file, that needs nothing else and may reach nothing else.

    Its policy names its script and style by hash. Raises like `join_modules`.
    """
    page, style = (_text(files, name) for name in ("standalone.html", "standalone.css"))
    script = join_modules(files, "standalone").decode()
    policy = (
        f"default-src 'none'; script-src {_source(script)}; style-src {_source(style)}; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
    for mark, text in {"@policy@": policy, "@style@": style, "@script@": script}.items():
        page = page.replace(mark, text)
    return page.encode()


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
    for _, imported in _IMPORT.findall(source):
        if imported in (*importers, name):
            raise ContentError(f"imports {imported}.js, which imports it", file=file, rule="script")
        if imported not in joined:
            _add(files, imported, joined, (*importers, name))
    exports = [exported for _, exported in _EXPORT.findall(source)]
    body = _EXPORT.sub(r"\1", _IMPORT.sub(r"const \1 = $\2;", source))
    if left := _LEFT_OVER.search(body):
        raise ContentError(f"a line that cannot be joined: {left[0]}", file=file, rule="script")
    lines = [line.strip() for line in body.split("\n")]
    kept = "".join(f"{line}\n" for line in lines if line and not line.startswith("//"))
    joined[name] = f"const ${name} = (() => {{\n{kept}return {{ {', '.join(exports)} }};\n}})();\n"
