"""Reports as files: written whole or not at all, and pages that need nothing around them."""

import os
from html import escape
from pathlib import Path

from verifier.errors import VerifierError

__all__ = ["both", "document", "write_whole"]

# The page may be published anywhere: it loads nothing, runs nothing, and what strangers named stays text.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
STYLE = """\
body{font:1rem/1.5 system-ui,sans-serif;max-width:70rem;margin:0 auto;padding:1rem;color:#1a1a1a;background:#fff}
table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}
th,td{border:1px solid #bbb;padding:.3rem .5rem;text-align:left;vertical-align:top;overflow-wrap:break-word}
td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
li,p,.long{overflow-wrap:anywhere}.scroll{overflow-x:auto}.en{color:#555;font-weight:normal}
.bad{background:#fbe3e1}.old{background:#fdf3d5}.good{background:#e3f3e5}
small{color:#555}th .en,td .en{display:block;font-size:.85em}
"""


def both(indonesian: str, english: str) -> str:
    """A text of ours in both languages, as HTML."""
    return f'{escape(indonesian)} <span class="en" lang="en">{escape(english)}</span>'


def document(title: str, body: str) -> str:
    """A whole page in Indonesian; `title` is text, `body` HTML."""
    return (
        '<!doctype html>\n<html lang="id">\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{STYLE}</style>\n{body}</html>\n"
    )


def write_whole(file: Path, text: str) -> None:
    """Replace `file` at once: its readers see the old one or the new one. VerifierError if it cannot be written."""
    temporary = file.with_name(f".{file.name}.new")
    try:
        temporary.write_text(text, encoding="utf-8", newline="")
        os.replace(temporary, file)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise VerifierError(f"{file} cannot be written: {error.strerror}") from None
