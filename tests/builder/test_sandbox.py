"""Templates and texts are a stranger's: whoever audits a site renders with those that the publisher logged."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from markupsafe import Markup

from builder.errors import ContentError
from builder.site import packaged_templates
from builder.templates import FastTemplates, Templates, read_texts
from tests.election import first_packages, write_package
from tests.publish.workspace import make_workspace, publish
from tests.publish.workspace import tree as files_of

ENGINES: list[type[Templates] | type[FastTemplates]] = [Templates, FastTemplates]
SECRET = "only this module knows it"


def function() -> str:
    return SECRET


def values() -> dict[str, Any]:
    """One of each kind that pages give to templates, and a function, which none does."""
    return {"text": "x", "markup": Markup("x"), "row": [1], "pair": (1, "x"), "table": {"a": 1}, "number": 3, "function": function}  # fmt: skip


# Each of these is an error of the template; none of them shows anything.
REFUSED = {
    "append": "{{ [].append(1) }}",
    "class": "{{ text.__class__.__mro__ }}",
    "class-of-list": "{{ row.__class__ }}",
    "class-by-item": "{{ row['__class__'] }}",
    "class-by-filter": "{{ text|attr('__class__') }}",
    "class-of-markup": "{{ markup.__class__ }}",
    "globals": "{{ function.__globals__ }}",
    "globals-by-filter": "{{ (function|attr('__globals__'))['SECRET'] }}",
    "code": "{{ function.__code__.co_consts }}",
    "method-to-function": "{{ markup.unescape.__globals__ }}",
    "builtin-to-object": "{{ pair.index.__self__.__class__ }}",
    "format": "{{ '{0.__class__}'.format(text) }}",
    "format-by-filter": "{{ ('{0.__globals__}'|attr('format'))(function) }}",
    "format-map": "{{ '{x.__class__}'.format_map({'x': text}) }}",
    "format-of-markup": "{{ markup.format.__globals__ }}",
    "cycler": "{{ cycler.__init__.__globals__.os }}",
    "joiner": "{{ joiner.__init__.__globals__ }}",
    "namespace": "{{ namespace.__init__.__globals__ }}",
    "lipsum": "{{ lipsum.__globals__ }}",
    "lipsum-is-chance": "{{ lipsum() }}",
    "random-is-chance": "{{ row|random }}",
    "self": "{{ self.__init__.__globals__ }}",
    "context": "{{ self._TemplateReference__context }}",
    "macro": "{% macro a() %}{% endmacro %}{{ a.__init__ }}",
    "range": "{{ range.__class__ }}",
    "dict": "{{ dict.__base__.__subclasses__() }}",
    "mro": "{{ dict.mro() }}",
    "map-by-name": "{{ [1]|map('__class__')|list }}",
    "include-absolute": "{% include '/etc/hostname' %}",
    "include-above": "{% include '../../../../../../etc/hostname' %}",
    "import-file": "{% import '/etc/hostname' as it %}",
    "import-module": "{% import 'os' as os %}",
    "extends": "{% extends '/etc/hostname' %}",
    "import": "{{ __import__('os') }}",
    "open": "{{ open('/etc/hostname') }}",
    "endless-range": "{{ range(10000000)|list }}",
    "endless-recursion": "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
}
# And these may be rendered, to nothing that a template should not have.
HARMLESS = {
    "map": "{{ [function]|map(attribute='__globals__')|list }}",
    "group": "{{ [function]|groupby('__code__') }}",
    "sort": "{{ [function]|sort(attribute='__name__') }}",
    "debug": "{{ debug() }}",
    "call": "{{ function }}",
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("trick", REFUSED)
def test_templates_reach_nothing_but_their_values(engine: type[Templates] | type[FastTemplates], trick: str) -> None:
    """No attribute, filter, global or name of a file leads a template to Python, or to a file that is none of its own."""
    with pytest.raises((ContentError, RecursionError, OverflowError)):
        engine({"x.html": REFUSED[trick]}, "id", {}).render("x.html", values())


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("trick", HARMLESS)
def test_what_is_shown_is_harmless(engine: type[Templates] | type[FastTemplates], trick: str) -> None:
    """What looks up attributes by name, or shows all that there is, shows values and no more."""
    with suppress(ContentError):
        assert SECRET not in engine({"x.html": HARMLESS[trick]}, "id", {}).render("x.html", values())


@pytest.mark.parametrize(
    "text",
    ["{x.__class__}", "{x[0]}", "{x!r}", "{x:>999999999999}", "{}", "{0}", "{{x}}", "{x", r"\u007bx.y\u007d"],
)
def test_texts_name_what_they_are_filled_with(text: str) -> None:
    """A text is filled in by Python's format strings, so none may have more in its braces than a word."""
    with pytest.raises(ContentError, match="one word in braces"):
        read_texts({"texts/id.toml": f'[page]\ntitle = ["a", "{text}"]\n'}, "id")


@pytest.mark.parametrize("texts", ["a." * 17 + "a = 1", "a = " + "[" * 5_000 + "]" * 5_000], ids=["key", "lists"])
def test_texts_too_deep(texts: str) -> None:
    """A stranger's table of texts takes no memory by a dotted key, of which 64 kB took four gigabytes, and ends in no traceback."""
    with pytest.raises(ContentError, match=r"texts/id\.toml"):
        read_texts({"texts/id.toml": texts}, "id")


@pytest.mark.parametrize("engine", ENGINES)
def test_sites_share_nothing(engine: type[Templates] | type[FastTemplates]) -> None:
    """The same templates in another site of this process know nothing of what they did in the first one, and have the words of their own."""
    source = "{% set kept = namespace(seen=0) %}{% macro count() %}{% set kept.seen = kept.seen + 1 %}{{ kept.seen }}{% endmacro %}"
    for word in ("TPS", "Booth"):
        site = engine(
            {"components/c.html": source, "x.html": "{{ '12'|station }}: {{ count() }}"}, "id", {"station": word}
        )
        assert site.render("x.html", {}) == f"{word} 12: 1"


SPOIL = """{% macro spoil(x, depth) %}{% if depth > 0 and x is iterable and x is not string %}
{% for y in x %}{{ spoil(y, depth - 1) }}{% endfor %}
{% if x.reverse is defined %}{{ x.reverse() }}{{ x.append(9) }}{% elif x.clear is defined %}{{ x.clear() }}{% endif %}
{% endif %}{% endmacro %}"""
LISTS = ["heads", "rows", "figure_rows", "parents", "contests", "findings_total", "finding_sentences", "station_findings", "finding_counts", "child_rows",
         "station_rows", "revision_rows", "filled_rows", "source_rows", "scan_rows"]  # fmt: skip


def test_a_template_changes_no_figure(tmp_path: Path) -> None:
    """THREATS 15: minijinja lets a template change the lists that it is given; results and data files never come from these."""
    found = []
    for name in ("honest", "spoilt"):
        folder = make_workspace(tmp_path / name)
        template = folder / "templates" / "area.html"
        shutil.copytree(packaged_templates(), folder / "templates")
        (folder / "terbit.toml").write_text('workers = 1\ntemplates = "templates"\n')
        if name == "spoilt":
            calls = "".join(f"{{{{ spoil({each}, 5) }}}}" for each in LISTS)
            before, end, after = template.read_text().rpartition("{% endblock %}")
            template.write_text(f"{before}{SPOIL}{calls}SPOILT{{{{ heads|length }}}}{end}{after}")
        for package, files in first_packages().items():
            write_package(folder / "inbox" / package, files)
        publish(folder)
        assert ("SPOILT" in (folder / "public/uji/ppwp/0.html").read_text()) == (name == "spoilt")
        found.append({path: sha256 for path, sha256 in files_of(folder / "public" / "uji").items() if is_figures(path)})
    assert found[0] == found[1]
    assert len(found[0]) > 20


def is_figures(path: str) -> bool:
    return path.startswith(("ppwp/", "data/")) and path.endswith((".json", ".csv.gz", ".parquet"))
