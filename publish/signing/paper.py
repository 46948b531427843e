"""A page for paper: what lets a reader tell the real site from another one, as text to type and as codes to photograph.

It says the same as the site's own keys do, so it is worth something only where it comes another way: an office's wall, a newspaper.
"""

import hashlib
from collections.abc import Mapping

from builder.codes import qr_code
from builder.pages import Pages

__all__ = ["keys_page"]


def keys_page(pages: Mapping[str, Pages], root: bytes, minisign: bytes) -> bytes:
    """The page of the first root (`1.root.json`) and of the key that signs results files (`minisign.pub`), in both languages."""
    indonesian, english = (pages[language].wording.texts["paper"] for language in ("id", "en"))
    texts = {
        "key": minisign.decode().splitlines()[1],
        "key_sha256": hashlib.sha256(minisign).hexdigest(),
        "root_sha256": hashlib.sha256(root).hexdigest(),
    }
    marks = [(indonesian[name], english[name], _grouped(text), qr_code(text)) for name, text in texts.items()]
    values = {"words": indonesian, "english": english, "marks": marks}
    return pages["id"].other_page("paper.html", "paper.html", indonesian["title"], values)


def _grouped(text: str) -> str:
    """In groups of four, as people read out a long number; a minisign key as it is typed."""
    return text if len(text) != 64 else " ".join(text[start : start + 4] for start in range(0, 64, 4))
