"""A broken definition is refused with file, line, field and rule."""

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from builder import limits
from builder.election import Definition, load_definition
from builder.errors import DefinitionError
from tests.builder.elections import SMALL_AREAS, SMALL_TOML

TWO_B = '[[contests.candidates]]\nnumber = 2\nname = "B"\n'

# id: (what is replaced in election.toml, by what, a text on the line that is blamed, field, rule)
BROKEN_TOML = {
    "unknown key": ("date =", 'colour = "red"\ndate =', "colour", "colour", "unknown-key"),
    "unknown key of a candidate": (
        'name = "B"',
        'name = "B"\nage = 50',
        "age",
        "contests[0].candidates[1].age",
        "unknown-key",
    ),
    "candidate number twice": (
        "number = 2",
        "number = 1",
        "number = 1",
        "contests.candidates.number",
        "duplicate-candidate",
    ),
    "candidate number 0": ("number = 2", "number = 0", "number = 0", "contests[0].candidates[1].number", "type"),
    "number as text": ("number = 7", 'number = "7"', 'number = "7"', "contests[1].candidates[0].number", "type"),
    "unknown party": ('party = "pa"', 'party = "pb"', 'party = "pb"', "contests.candidates.party", "unknown-party"),
    "party twice": (
        '[[parties]]\nid = "pa"',
        '[[parties]]\nid = "pa"\nname = "X"\n[[parties]]\nid = "pa"',
        'id = "pa"',
        "parties.id",
        "duplicate-party",
    ),
    "unknown shard level": (
        'shard_level = "kabupaten"',
        'shard_level = "kota"',
        "shard_level",
        "shard_level",
        "unknown-level",
    ),
    "shards at the root": (
        'shard_level = "kabupaten"',
        'shard_level = "negara"',
        "shard_level",
        "shard_level",
        "unknown-level",
    ),
    "level twice": ('id = "desa", ', 'id = "provinsi", ', 'id = "provinsi", ', "levels.id", "duplicate-level"),
    "contest twice": (
        'id = "dprd-11"\ngroup = "dprd"',
        'id = "ppwp"\ngroup = "ppwp"',
        'id = "ppwp"',
        "contests.id",
        "duplicate-contest",
    ),
    "contest without its group": ('group = "dprd"', 'group = "dpr"', 'id = "dprd-11"', "contests.id", "group"),
    "group of another role": (
        'id = "ppwp"\ngroup = "ppwp"',
        'id = "root"\ngroup = "root"',
        'group = "root"',
        "contests.group",
        "reserved-name",
    ),
    "field twice": (
        'fields = ["valid"]',
        'fields = ["valid", "valid"]',
        'fields = ["valid", "valid"]',
        "contests.fields",
        "duplicate-field",
    ),
    "unknown field": (
        'fields = ["valid"]',
        'fields = ["spoilt"]',
        'fields = ["spoilt"]',
        "contests.fields",
        "unknown-field",
    ),
    "area of a contest": ('area = "11"', 'area = "99"', None, "contests.area", "unknown-area"),
    "title without English": ('en = "Small"\n', "", "[title]", "title.en", "type"),
    "level without English": (',  en = "Province"', "", '"Provinsi"', "levels[1].title.en", "type"),
    "kind's title of an unknown level": (
        "[kinds.overseas]",
        '[kinds.overseas]\ntitles = { kota = { id = "", en = "" } }',
        "titles",
        "kinds.overseas.titles.kota",
        "unknown-level",
    ),
    "kind's title of an unknown level, in a table": (
        "[kinds.overseas]",
        '[kinds.overseas.titles]\nprovinsi = { id = "", en = "" }\nkota = { id = "", en = "" }',
        "kota",
        "kinds.overseas.titles.kota",
        "unknown-level",
    ),
    "kind's title without English": (
        "[kinds.overseas]",
        '[kinds.overseas]\ntitles = { provinsi = { id = "" } }',
        "titles",
        "kinds[...].titles[...].en",
        "type",
    ),
    "level without a title": (
        ',  title = { id = "Provinsi",  en = "Province" }',
        "",
        '"provinsi"',
        "levels[1].title",
        "type",
    ),
    "contest without candidates' names": (
        'name = "A"\n',
        "",
        "[[contests.candidates]]",
        "contests[0].candidates[0].name",
        "type",
    ),
    "contest's title without English": (', en = "President"', "", '"Presiden"', "contests[0].title.en", "type"),
    "unknown language": ("date =", 'languages = [\n  "id",\n  "fr",\n]\ndate =', '"fr"', "languages[1]", "type"),
    "cards without an address": ("date =", 'cards = ["id"]\ndate =', "cards", "cards", "cards"),
    "cards in another language than the pages": (
        "date =",
        'address = "https://example.org/"\ncards = ["en"]\ndate =',
        "cards",
        "cards",
        "cards",
    ),
    "cards twice": (
        "date =",
        'address = "https://example.org/"\ncards = ["id", "id"]\ndate =',
        "cards",
        "cards",
        "cards",
    ),
    "date in words": ("date = 2029-02-14", 'date = "14 Februari 2029"', "Februari", "date", "type"),
    "time zone": ('"Asia/Jakarta"', '"../../etc/passwd"', "time_zones", "time_zones", "time-zone"),
    "time zone by its short name": ('"Asia/Jakarta"', '"WIB"', "time_zones", "time_zones", "time-zone"),
    "time zone mistyped": ('"Asia/Jakarta"', '"Asia/Jakatra"', "time_zones", "time_zones", "time-zone"),
    "time zone of half a name": ('"Asia/Jakarta"', '"Asia"', "time_zones", "time_zones", "time-zone"),
    "empty time zone": ('"Asia/Jakarta"', '""', "time_zones", "time_zones", "time-zone"),
    "time zone of an area": (
        "[title]",
        '[area_time_zones]\n"1" = "Asia/Makassar"\n"11" = "WIT"\n[title]',
        '"11" = "WIT"',
        "area_time_zones.11",
        "time-zone",
    ),
    "path in the id": ('id = "small-2029"', 'id = "../x"', None, "id", "type"),
    "path in a contest": ('id = "dprd-11"', 'id = "dprd-11/../x"', "dprd-11/../x", "contests[1].id", "type"),
    "LF after an id": ('id = "small-2029"', 'id = "small-2029\\n"', None, "id", "type"),
    "name of 10 kB": ('name = "B"', f'name = "{"B" * 10_000}"', "BBBB", "contests[0].candidates[1].name", "type"),
    "percent over 100": (
        "spare_percent = 2",
        "spare_percent = 101",
        "spare_percent",
        "kinds[...].spare_percent",
        "type",
    ),
    "key twice": ("date =", 'id = "x"\ndate =', None, None, "syntax"),
    "no contest": ("[[contests]]", "[[contest]]", None, "contest", "unknown-key"),
    "contact that is a script": (
        "date =",
        'contact = "javascript:alert(1)"\ndate =',
        "contact",
        "contact",
        "type",
    ),
    "contact with a space": ("date =", 'contact = "https://x y"\ndate =', "contact", "contact", "type"),
    "NUL": ("small-2029", "small\0", None, None, "syntax"),
}


def write(folder: Path, toml: bytes, areas: bytes, name: str = "areas.csv") -> Path:
    (folder / "election.toml").write_bytes(toml)
    (folder / name).write_bytes(areas)
    return folder


def refused(folder: Path) -> DefinitionError:
    with pytest.raises(DefinitionError) as caught:
        load_definition(folder)
    return caught.value


@pytest.mark.parametrize("name", BROKEN_TOML)
def test_broken_election(name: str, tmp_path: Path) -> None:
    """A broken election.toml is refused with the file, the line to mend, the field and the rule."""
    before, after, blamed, field, rule = BROKEN_TOML[name]
    assert before in SMALL_TOML
    toml = SMALL_TOML.replace(before, after)
    error = refused(write(tmp_path, toml.encode(), SMALL_AREAS.encode()))
    assert (error.file, error.field, error.rule) == (tmp_path / "election.toml", field, rule)
    if blamed is not None:
        assert error.line is not None
        assert blamed in toml.splitlines()[error.line - 1]


SAID = {
    "date": ("date = 2029-02-14", 'date = "besok"', "must be a date like 2029-02-14 [type]"),
    "title": ('en = "Small"\n', "", "line 12, field title.en: 'en' is missing; add it [type]"),
    "identifier": ('id = "small-2029"', 'id = "Small 2029"', 'small letters and digits, with single "-" between them'),
    "whole number": (
        "spare_percent = 2",
        'spare_percent = "2"',
        "must be a whole number, not a text in quotation marks",
    ),
    "language": (
        "date =",
        'languages = ["fr"]\ndate =',
        '\'fr\' is not one of the words that may stand here: "id" or "en" [type]',
    ),
    "card": (
        "date =",
        'cards = ["fr"]\ndate =',
        '\'fr\' is not one of the words that may stand here: "id" or "en" [type]',
    ),
    "table": ("[title]", "[titles]", "there is no key 'titles' here"),
    "time zone": ('"Asia/Jakarta"', '"WIB"', "'WIB' is not the name of a time zone; Indonesia's are Asia/Jakarta"),
    "contact": ("date =", 'contact = "x"\ndate =', 'must begin with "mailto:" or "https://"'),
}


@pytest.mark.parametrize("name", SAID)
def test_errors_are_told_in_plain_words(name: str, tmp_path: Path) -> None:
    """What is wrong with election.toml is told by what to write, without words of the library that reads it."""
    before, after, said = SAID[name]
    assert before in SMALL_TOML
    error = refused(write(tmp_path, SMALL_TOML.replace(before, after, 1).encode(), SMALL_AREAS.encode()))
    assert said in str(error)
    assert not re.search(r"Expected|regex|RFC|`", str(error))


def changed(before: str, after: str) -> Callable[[bytes], bytes]:
    return lambda areas: areas.replace(before.encode(), after.encode(), 1)


# id: (change of areas.csv, line, field, rule)
BROKEN_AREAS = {
    "unknown parent": (changed("111,11,", "111,13,"), 5, "parent", "unknown-parent"),
    "own parent": (changed("111,11,", "111,111,"), 5, "parent", "cycle"),
    "cycle of two": (changed("11,1,kabupaten", "11,111,kabupaten"), 4, "parent", "cycle"),
    "duplicate code": (changed("112,11", "111,11"), 6, "code", "duplicate-code"),
    "two levels swapped": (changed("1,0,provinsi", "1,0,kabupaten"), 3, "level", "level-order"),
    "village below a province": (changed("111,11,", "111,1,"), 5, "level", "level-order"),
    "unknown level": (changed("111,11,desa", "111,11,dusun"), 5, "level", "unknown-level"),
    "no level": (changed("111,11,desa", "111,11,"), 5, "level", "unknown-level"),
    "unknown kind": (changed("Seratus,domestic", "Seratus,lunar"), 5, "kind", "unknown-kind"),
    "second root": (changed("-9,0,provinsi", "-9,,negara"), 9, "parent", "second-root"),
    "no root": (changed("0,,negara", "0,1,negara"), 2, "parent", "cycle"),
    "stations missing": (changed("Seratus,domestic,3", "Seratus,domestic,"), 5, "stations", "stations"),
    "negative stations": (changed("Seratus,domestic,3", "Seratus,domestic,-3"), 5, "stations", "not-an-integer"),
    "stations 1e308": (changed("Seratus,domestic,3", "Seratus,domestic,1e308"), 5, "stations", "not-an-integer"),
    "no name": (changed("Seratus", ""), 5, "name", "name"),
    "name of 10 kB": (changed("Seratus", "S" * 10_000), 5, "name", "name"),
    "control character in a name": (changed("Seratus", "Se\x1bratus"), 5, "name", "name"),
    "code that climbs": (changed("111,11", "../x,11"), 5, "code", "code"),
    "code with a slash": (changed("111,11", "1/1,11"), 5, "code", "code"),
    "code in upper case": (changed("111,11", "11A,11"), 5, "code", "code"),
    "code of 21 characters": (changed("111,11", "1" * 21 + ",11"), 5, "code", "code"),
    "empty code": (changed("111,11", ",11"), 5, "code", "code"),
    "two codes with one path": (changed("112,11", "n911,11"), 11, "code", "path-name"),
    "byte-order mark": (lambda areas: b"\xef\xbb\xbf" + areas, 1, None, "encoding"),
    "CRLF in the header": (lambda areas: areas.replace(b"\n", b"\r\n"), 1, None, "header"),
    "CRLF in a row": (changed("Seratus,domestic,3\n", "Seratus,domestic,3\r\n"), 5, None, "character"),
    "NUL": (changed("Seratus", "Ser\0tus"), 5, None, "character"),
    "not UTF-8": (lambda areas: areas.replace(b"Seratus", b"S\xe9ratus"), 5, None, "encoding"),
    "another header": (changed("code,parent", "code,above"), 1, None, "header"),
    "too many cells": (changed("Seratus,domestic,3", "Seratus,domestic,3,4"), 5, None, "ragged"),
    "too few cells": (changed("Seratus,domestic,3", "Seratus,domestic"), 5, None, "ragged"),
    "empty line": (changed("Seratus,domestic,3\n", "Seratus,domestic,3\n\n"), 6, None, "ragged"),
    "quoted LF": (changed('"Dua, Belas"', '"Dua\nBelas"'), 6, None, "ragged"),
    "quote that never ends": (changed('"Dua, Belas"', '"Dua Belas'), 6, None, "ragged"),
    "cut off": (lambda areas: areas[:-1], 11, None, "truncated"),
    "no areas": (lambda areas: areas[: areas.index(b"\n") + 1], None, None, "empty"),
    "nothing": (lambda _: b"", 1, None, "header"),
}


@pytest.mark.parametrize("name", BROKEN_AREAS)
def test_broken_areas(name: str, tmp_path: Path) -> None:
    """A broken areas.csv is refused with file, line, field and rule."""
    change, line, field, rule = BROKEN_AREAS[name]
    areas = change(SMALL_AREAS.encode())
    assert areas != SMALL_AREAS.encode()
    error = refused(write(tmp_path, SMALL_TOML.encode(), areas))
    assert (error.file, error.line, error.field, error.rule) == (tmp_path / "areas.csv", line, field, rule)


MISTAKEN_AREAS = {
    "semicolons": (lambda areas: areas.replace(b",", b";"), "the columns are separated by semicolons; save it with commas"),
    "old Mac": (lambda areas: areas.replace(b"\n", b"\r"), "as on old Macs; save the file with Unix line ends (LF)"),
    "byte-order mark": (lambda areas: b"\xef\xbb\xbf" + areas, "save it as UTF-8 without BOM, as dos2unix does"),
    "stations missing": (changed("Seratus,domestic,3", "Seratus,domestic,"), "need their number of polling stations ["),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKEN_AREAS)
def test_mistaken_areas(name: str, tmp_path: Path) -> None:
    """What a spreadsheet makes of areas.csv is called by its name, with the remedy; an empty cell has no value to show."""
    change, said = MISTAKEN_AREAS[name]
    assert said in str(refused(write(tmp_path, SMALL_TOML.encode(), change(SMALL_AREAS.encode()))))


def test_small_definition(small: Definition) -> None:
    """Areas stand in depth-first order with their subtrees, shards and expected stations, whatever their codes."""
    areas = small.areas
    assert areas.codes == ["0", "1", "11", "111", "112", "12", "121", "-9", "-91", "-911"]
    assert areas.ends == [10, 7, 5, 4, 5, 7, 7, 10, 10, 10]
    assert areas.table["stations"].to_list() == [7, 6, 4, 3, 1, 2, 2, 1, 1, 1]
    assert areas.path("ppwp", areas.index["-911"]) == "ppwp/n91/n911"
    assert areas.path("ppwp", areas.index["1"]) == "ppwp/1"
    assert areas.ancestors(areas.index["112"]) == [0, 1, 2]


def test_order_of_lines_is_free(tmp_path: Path) -> None:
    """A parent may stand after its children."""
    header, *lines = SMALL_AREAS.splitlines(keepends=True)
    definition = load_definition(write(tmp_path, SMALL_TOML.encode(), (header + "".join(reversed(lines))).encode()))
    assert definition.areas.codes == ["0", "-9", "-91", "-911", "1", "12", "121", "11", "112", "111"]


def test_packed_areas(tmp_path: Path) -> None:
    """areas.csv.gz is read as areas.csv is."""
    definition = load_definition(
        write(tmp_path, SMALL_TOML.encode(), gzip.compress(SMALL_AREAS.encode()), "areas.csv.gz")
    )
    assert len(definition.areas) == 10


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(b"\0" * (limits.AREAS_FILE + 1)),
        gzip.compress(SMALL_AREAS.encode())[:-9],
        gzip.compress(SMALL_AREAS.encode()) * 2,
        SMALL_AREAS.encode(),
    ],
    ids=["bomb", "cut off", "two members", "not gzip"],
)
def test_broken_gzip(packed: bytes, tmp_path: Path) -> None:
    """A gzip that unpacks to too much, is cut off or goes on is refused before it is read as areas."""
    error = refused(write(tmp_path, SMALL_TOML.encode(), packed, "areas.csv.gz"))
    assert (error.file, error.rule) == (tmp_path / "areas.csv.gz", "gzip")


def test_two_area_files(tmp_path: Path) -> None:
    """Beside areas.csv no areas.csv.gz may lie: nobody could say which one counts."""
    write(tmp_path, SMALL_TOML.encode(), SMALL_AREAS.encode(), "areas.csv.gz")
    assert refused(write(tmp_path, SMALL_TOML.encode(), SMALL_AREAS.encode())).rule == "areas-file"


def test_no_files(tmp_path: Path) -> None:
    """A folder without a definition is an error that names the file, not a traceback."""
    assert refused(tmp_path).rule == "readable"


def test_more_tallies_than_memory_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Areas times contests have a cap: 300,000 areas and 9,000 contests are two megabytes, and 400 gigabytes of an auditor's memory."""
    folder = write(tmp_path, SMALL_TOML.encode(), SMALL_AREAS.encode())
    monkeypatch.setattr(limits, "TALLIED_AREAS_COUNT", 20)
    assert len(load_definition(folder).areas) == 10
    monkeypatch.setattr(limits, "TALLIED_AREAS_COUNT", 19)
    with pytest.raises(DefinitionError, match="2 contests in 10 areas are 20 tallies"):
        load_definition(folder)


def test_file_too_long(tmp_path: Path) -> None:
    """election.toml is not read beyond its cap."""
    toml = SMALL_TOML.encode() + b"#" * limits.DEFINITION_FILE
    assert refused(write(tmp_path, toml, SMALL_AREAS.encode())).rule == "size"


def test_tree_of_2019(nation_2019: Definition) -> None:
    """The 91,540 areas of 2019, arbitrary and negative numbers among them, load with overseas last."""
    areas = nation_2019.areas
    assert len(areas) == 91_540
    assert (areas.names[0], areas.codes[0]) == ("Indonesia", "0")
    assert areas.table["stations"][0] == 813_336
    assert areas.kinds[areas.index["-990014"]] == "overseas"
    assert areas.path("ppwp", areas.index["-990014"]) == "ppwp/n990012/n990014"


def test_tree_of_2024(nation_2024: Definition) -> None:
    """The 92,089 areas of 2024 load below a root that the source lacks, special stations counted."""
    areas = nation_2024.areas
    assert len(areas) == 92_090
    assert areas.ancestors(areas.index["3101011002"]) == [areas.index[code] for code in ("0", "31", "3101", "310101")]
    assert areas.table["stations"][areas.index["3101011002"]] == 19 + 8
    assert areas.table["stations"][areas.index["9901010002"]] == 0
    assert areas.kinds[areas.index["9901010002"]] == "overseas"
