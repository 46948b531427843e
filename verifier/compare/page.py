"""A comparison as one page, to be sent or published: Indonesian first, English beside it."""

from html import escape

from verifier.compare.area import Difference
from verifier.compare.output import change, gap, shown
from verifier.compare.run import Comparison
from verifier.reports import both, document

__all__ = ["html_page"]

SHOWN = 20_000
KINDS = {
    "differs": ("angka berbeda", "figures differ"),
    "unlisted": ("tidak ada di situs", "not on the site"),
    "missing": ("tidak ada di data Anda", "not in your tallies"),
}
HEADS = (
    ("Wilayah", "Area"),
    ("TPS", "Station"),
    ("Angka", "Figure"),
    ("Data Anda", "Yours"),
    ("Diterbitkan", "Published"),
    ("Selisih", "Difference"),
    ("Riwayat dan temuan", "History and findings"),
)


def html_page(comparison: Comparison, base: str, name: str) -> str:
    """`name`: what the tallies are called; `base`: what stands before a page's path in a link."""
    count = len(comparison.differences)
    heads = "".join(f'<th scope="col">{both(*head)}' for head in HEADS)
    summary = (
        f"{comparison.compared} dari {comparison.rows} baris dibandingkan dengan rilis {comparison.release}; {count} berbeda.",
        f"{comparison.compared} of {comparison.rows} rows compared with release {comparison.release}; {count} differ.",
    )
    body = [
        f"<h1>{both('Perbandingan', 'Comparison')}: {escape(name)}</h1>\n<p>{both(*summary)}\n",
        f"<p>{both('Kontes', 'Contest')}: {escape(comparison.contest)}. {both('Kolom', 'Columns')}: ",
        f'{escape(", ".join(comparison.columns))}. <a href="{escape(base)}index.html">{escape(base)}</a>\n',
    ]
    if comparison.failures:
        body.append(f"<h2>{both('Tidak dapat dibandingkan', 'Not compared')}</h2>\n<ul>\n")
        body += [f'<li class="bad">{escape(one.path)}: {escape(one.what)}\n' for one in comparison.failures]
        body.append("</ul>\n")
    if count:
        body.append(f'<div class="scroll"><table>\n<thead><tr>{heads}</thead>\n')
        body += [_rows(one, base) for one in comparison.differences[:SHOWN]]
        body.append("</table></div>\n")
    if count > SHOWN:
        body.append(f"<p>{both(f'{count - SHOWN} lainnya ada di CSV.', f'{count - SHOWN} more are in the CSV.')}\n")
    return document(f"Perbandingan: {name}", "".join(body))


def _rows(one: Difference, base: str) -> str:
    """The body of one station's rows in the table."""
    height = max(len(one.figures), 1)
    area = f"{escape(one.name)} <small>{escape(one.area)}</small>"
    if one.page:
        area = f'<a href="{escape(base + one.page)}">{area}</a>'
    notes = [both(*KINDS[one.kind])] if one.kind != "differs" else []
    notes += [escape(f"status: {one.state}")] if one.state else []
    notes += [escape(change(revision)) for revision in one.history]
    notes += [escape(f"{finding.rule}: {finding.left} / {finding.right}") for finding in one.findings]
    station = escape(one.station) or both("rekapitulasi", "recap")
    cells = [
        f'<td>{escape(figure.figure)}<td class="n">{shown(figure.yours)}<td class="n">{shown(figure.published)}'
        f'<td class="n">{gap(figure.yours, figure.published)}'
        for figure in one.figures
    ] or ["<td><td><td><td>"]
    first = f'<th scope="row" rowspan="{height}">{area}<td rowspan="{height}">{station}{cells[0]}'
    last = f'<td rowspan="{height}">{"<br>".join(notes)}\n'
    return f"<tbody><tr>{first}{last}" + "".join(f"<tr>{cell}\n" for cell in cells[1:])
