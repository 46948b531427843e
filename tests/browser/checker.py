"""The browser's verifier as it is published, joined and made small, but with its parts within reach of Node."""

import re
from pathlib import Path

from builder.scripts import compact_script, join_modules
from builder.site import read_tree

__all__ = ["write_checker"]

TEMPLATES = Path(__file__).parents[2] / "site_templates"
EXPORTED = re.compile(r"^export (?:const|class|function|async function) (\w+)", re.MULTILINE)


def write_checker(file: Path) -> Path:
    """Write to `file`, a module, what tests/browser/checker.mjs has."""
    files = read_tree(TEMPLATES)
    modules = re.findall(r"check/(\w+)\.js", Path(__file__).with_suffix(".mjs").read_text())
    names = {module: EXPORTED.findall(files[f"check/{module}.js"].decode()) for module in modules}
    entry = [f'import {{ {", ".join(some)} }} from "./{module}.js";' for module, some in names.items()]
    every = ", ".join(name for some in names.values() for name in some)
    files |= {"check/every.js": "\n".join([*entry, f"globalThis.terbitChecker = {{ {every} }};"]).encode()}
    made = compact_script(join_modules(files, "every"), "every.js").decode()
    file.write_text(f"{made}\nexport const {{ {every} }} = globalThis.terbitChecker;\n")
    return file
