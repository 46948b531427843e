"""Content pages: Markdown from anybody to HTML that can do nothing."""

from pathlib import Path

import pytest

from builder import limits
from builder.content import parse_page, read_pages
from builder.errors import ContentError


def page(text: str) -> str:
    return parse_page(f"# Judul\n\n{text}\n".encode(), "halaman", "id", "halaman.md").html


def test_title_and_path() -> None:
    """The first line is the title; an English page lies in en/."""
    found = parse_page(b"# Cara *membaca* \n\nTeks.\n", "cara-membaca", "en", "x.md")
    assert (found.title, found.path) == ("Cara *membaca*", "en/cara-membaca.html")
    assert found.html.startswith("<h1>Cara <em>membaca</em></h1>")


def test_tables_and_code() -> None:
    """Tables and fenced code are rendered, and code stays text."""
    assert "<td>1</td>" in page("| a | b |\n|---|---|\n| 1 | 2 |")
    assert "&lt;script&gt;" in page("```\n<script>\n```")


def test_code_takes_no_focus() -> None:
    """A block of code wraps, so the keyboard need not stop at it, and whoever writes the page can set no order of stops."""
    assert "<pre><code>" in page("```\nls\n```")
    assert "tabindex" not in page('<pre tabindex="7">x</pre><p tabindex="3">y</p>')


@pytest.mark.parametrize(
    "attack",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        '<a href="javascript:alert(1)">x</a>',
        "[x](javascript:alert(1))",
        "[x](data:text/html,<script>alert(1)</script>)",
        '<p style="position:fixed">x</p>',
        "<style>*{display:none}</style>",
        "<iframe src=//example.org></iframe>",
        "<form action=//example.org><input name=pin></form>",
        '<meta http-equiv="refresh" content="0;url=//example.org">',
        "<base href=//example.org>",
        "<svg><script>alert(1)</script></svg>",
        "<object data=x></object><embed src=x>",
    ],
)
def test_attacks_are_dropped(attack: str) -> None:
    """Raw HTML that could run, restyle, load or ask for something does not come through."""
    html = page(attack).lower()
    for word in (
        "<script",
        "<style",
        "style=",
        "onerror",
        'href="javascript',
        'href="data',
        "<iframe",
        "<form",
        "<input",
        "<meta",
        "<base",
    ):
        assert word not in html
    assert not any(f"<{tag}" in html for tag in ("svg", "object", "embed"))


@pytest.mark.parametrize(
    ("data", "slug", "line", "rule"),
    [
        (b"Teks.\n", "halaman", 1, "title"),
        (b"", "halaman", 1, "title"),
        (b"#  \n", "halaman", 1, "title"),
        (b"\n# Judul\n", "halaman", 1, "title"),
        (b"# Judul\n\n\xff\n", "halaman", 3, "encoding"),
        (b"# Judul\n" + b"x" * limits.PAGE_FILE, "halaman", None, "size"),
        (b"# Judul\n", "Halaman", None, "slug"),
        (b"# Judul\n", "a--b", None, "slug"),
        (b"# Judul\n", "..", None, "slug"),
        (b"# Judul\n", "index", None, "slug"),
        (b"# Judul\n", "404", None, "slug"),
        (b"# Judul\n", "a\n", None, "slug"),
    ],
)
def test_broken_pages_are_refused(data: bytes, slug: str, line: int | None, rule: str) -> None:
    """A page without title, not UTF-8, too large or badly named is refused with file, line and rule."""
    with pytest.raises(ContentError) as caught:
        parse_page(data, slug, "id", "pages/id/x.md")
    assert (caught.value.file, caught.value.line, caught.value.rule) == ("pages/id/x.md", line, rule)


def test_walk_is_sorted(tmp_path: Path) -> None:
    """Pages come by language and name, whatever the file system's order; other files are left alone."""
    for name in ("id/b.md", "en/a.md", "id/a.md", "id/notes.txt", "id/c.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("# x\n")
    assert [found.path for found in read_pages(tmp_path)] == ["a.html", "b.html", "c.html", "en/a.html"]
    assert read_pages(tmp_path / "none") == []


def test_oversized_file_is_not_read(tmp_path: Path) -> None:
    """A page beyond the cap is refused by its size alone."""
    (tmp_path / "id").mkdir()
    with (tmp_path / "id" / "a.md").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ContentError, match="at most"):
        read_pages(tmp_path)


@pytest.mark.parametrize(("path", "link"), [("data.html", "openapi.json"), ("en/data.html", "../openapi.json")])
def test_the_data_page_leads_to_what_programs_read(path: str, link: str) -> None:
    """The example's page on data links the description of all addresses, and says where the tables are."""
    (found,) = (page for page in read_pages(Path(__file__).parents[2] / "content" / "pages") if page.path == path)
    assert f'<a href="{link}" ' in found.html
    assert "CSV" in found.html


@pytest.mark.parametrize(
    "text", [b"- " * 4_000, b"".join(b" " * 4 * depth + b"* a\n" for depth in range(300))], ids=["line", "lists"]
)
def test_a_page_too_deep(text: bytes) -> None:
    """Lists in lists beyond what the reader of Markdown follows are refused, and end no program."""
    with pytest.raises(ContentError) as caught:
        parse_page(b"# T\n\n" + text + b"a\n", "x", "id", "x.md")
    assert caught.value.rule == "depth"
