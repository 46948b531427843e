"""What `terbit recap pack` says of scans before an official signs."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from builder.election import load_definition
from publish.cli.main import terbit
from publish.recap_pack import HandIn, make_package, scan_problems
from tests.election import COLUMNS, row, write_definition
from tests.scans import JPEG

NOWHERE = "{}: no page lists it, for its name does not begin with the code of an area in the rows; name it <area>_<station>.jpg or <area>.pdf"
SCANS: dict[str, tuple[str, bytes, list[str]]] = {
    "a station's": ("110101_1.jpg", JPEG, []),
    "a station's second sheet": ("110101_1_b.jpg", JPEG, []),
    "the area's own": ("110101.pdf", b"%PDF", []),
    "no PDF": ("110101.pdf", b"not a PDF", ["110101.pdf: is no PDF by its content; is it what its name says?"]),
    "named by chance": ("IMG-2029.jpg", JPEG, [NOWHERE.format("IMG-2029.jpg")]),
    "another sign between": ("110101-1.jpg", JPEG, [NOWHERE.format("110101-1.jpg")]),
    "another area": ("120101_1.jpg", JPEG, [NOWHERE.format("120101_1.jpg")]),
    "another station": ("110101_7.jpg", JPEG, ["110101_7.jpg: the rows have no station '7' of 110101"]),
    "no picture": (
        "110101_1.jpg",
        b"not a picture",
        ["110101_1.jpg: cannot be read as a picture, so pages show no thumbnail; is it what its name says?"],
    ),
}


@pytest.mark.parametrize(("name", "data", "problems"), SCANS.values(), ids=SCANS)
def test_scans_that_lead_nowhere_are_told(tmp_path: Path, name: str, data: bytes, problems: list[str]) -> None:
    """A scan that no page lists where its sender means it, or that is no picture by its content, is told with the way to mend it."""
    write_definition(tmp_path)
    rows = "\n".join([COLUMNS, row("110101", 1, 100, 10), ""]).encode()
    hand_in = HandIn("ppwp", "count", "1101", "1101", scans={name: data})
    assert scan_problems(make_package(rows, hand_in, load_definition(tmp_path))) == problems


def test_two_scans_of_one_name_are_wrong_usage(tmp_path: Path) -> None:
    """Of two scans with one name in different folders none is dropped silently."""
    write_definition(tmp_path / "content")
    (tmp_path / "rows.csv").write_text("\n".join([COLUMNS, row("110101", 1, 100, 10), ""]))
    words = ["recap", "pack", f"{tmp_path}/rows.csv", "--contest", "ppwp", "--area", "1101", "--series", "count"]
    words += ["--key", f"{tmp_path}/rows.csv", "--content", f"{tmp_path}/content", "-o", f"{tmp_path}/out.zip"]
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "110101_1.jpg").write_bytes(JPEG)
        words += ["--scan", f"{tmp_path}/{folder}/110101_1.jpg"]
    done = CliRunner().invoke(terbit, words)
    assert (done.exit_code, "two scans have the same name" in done.output) == (2, True), done.output
