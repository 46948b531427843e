"""The election definition: `content/election.toml` with `content/areas.csv` and perhaps `content/map.topojson`, checked as a whole before anything uses it.

Format: docs/formats.md, "Election definition".
"""

import datetime
import gzip
import itertools
import re
import zlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from builder import limits
from builder.areas import Areas, parse_areas
from builder.errors import DefinitionError
from builder.hashing import input_hash
from builder.toml import convert_toml, line_of, parse_toml
from builder.topojson import Topology, parse_topojson

__all__ = [
    "BALLOT_COUNTS",
    "Candidate",
    "Contest",
    "Definition",
    "Election",
    "Kind",
    "KindTitle",
    "Level",
    "Tile",
    "load_definition",
    "parse_election",
]

_BY_SEX = ("registered", "voters_listed", "voters_moved", "voters_unlisted", "voters")
BALLOT_COUNTS = frozenset(
    [f"{name}{sex}" for name in _BY_SEX for sex in ("", "_male", "_female")]
    + ["ballots_received", "ballots_returned", "ballots_unused", "valid", "invalid", "total"]
)
MAP = "map.topojson"
TIME_ZONES = "Asia/Jakarta and Asia/Pontianak (WIB), Asia/Makassar (WITA), Asia/Jayapura (WIT)"
RESERVED_NAMES = frozenset(
    [
        "root",
        "targets",
        "snapshot",
        "timestamp",
        "trust",
        "site",
        "metadata",
        "log",
        "packages",
        "keys",
        "assets",
        "schema",
        "inputs",
        "packs",
        "search",
        "feeds",
        "data",
        "embed",
        "sirekap",
        "en",
    ]
)
# What the patterns of these keys ask for.
FORMS = {
    **dict.fromkeys(["languages", "cards"], '"id" or "en"'),
    "id": 'must be small letters and digits, with single "-" between them, like "pemilu-2029"',
    "group": 'must be small letters and digits alone, like "ppwp"',
    "contact": 'must begin with "mailto:" or "https://", without spaces, like "mailto:halo@example.org"',
    "address": 'must begin with "https://" and end with "/", without spaces, like "https://hasil.example.org/pemilu-2029/"',
}

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.NAME_CHARACTERS)]
KindText = Annotated[str, msgspec.Meta(max_length=limits.NAME_CHARACTERS)]
Identifier = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*\Z", max_length=64)]
Count = Annotated[int, msgspec.Meta(ge=0, le=limits.FIGURE)]
# A link on every page: one with another scheme could run as a script.
Contact = Annotated[str, msgspec.Meta(pattern=r"^(mailto:|https://)[!-~]+\Z", max_length=limits.NAME_CHARACTERS)]
Address = Annotated[str, msgspec.Meta(pattern=r"^https://[!-~]+/\Z", max_length=limits.NAME_CHARACTERS)]
Place = Annotated[int, msgspec.Meta(ge=0, le=limits.TILE_PLACE)]


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Title(_Part, frozen=True):
    """A text in both languages of the site."""

    id: Text
    en: Text


class Level(_Part, frozen=True):
    id: Identifier
    title: Title


class KindTitle(Title, frozen=True):
    """A level's title for areas of one kind; where it is empty, their names stand alone."""

    id: KindText
    en: KindText


class Kind(_Part, frozen=True):
    """Parameters of the rules for one kind of area (domestic, overseas…), and its titles by level where they are not the levels' own."""

    spare_percent: Annotated[int, msgspec.Meta(ge=0, le=100)] | None = None
    max_registered: Count | None = None
    consecutive_stations: bool = False
    titles: dict[str, KindTitle] = {}


class Party(_Part, frozen=True):
    id: Identifier
    name: Text


class Candidate(_Part, frozen=True):
    number: Annotated[int, msgspec.Meta(ge=1, le=99_999)]
    name: Text
    party: str | None = None


class Sirekap(_Part, frozen=True):
    """That a contest is published in Sirekap's shape, too: by which ids programs know the candidates' numbers; `stations`: a file for each station."""

    candidates: dict[str, int]
    stations: bool = False


class Contest(_Part, frozen=True):
    id: Identifier
    group: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]+\Z", max_length=32)]
    title: Title
    candidates: Annotated[tuple[Candidate, ...], msgspec.Meta(min_length=1, max_length=limits.CANDIDATES_COUNT)]
    fields: tuple[str, ...] = ("registered", "voters", "valid", "invalid")
    area: str | None = None
    sirekap: Sirekap | None = None

    @property
    def votes(self) -> tuple[str, ...]:
        """Names of the vote columns, in the candidates' order."""
        return tuple(f"votes_{candidate.number}" for candidate in self.candidates)

    @property
    def figures(self) -> tuple[str, ...]:
        """Names of all figure columns of a row, in the order of `rows.csv`."""
        return self.votes + self.fields


class Tile(_Part, frozen=True):
    """One area's place on the map of the contests' top areas: counted from the upper left."""

    area: str
    column: Place
    row: Place
    label: Annotated[str, msgspec.Meta(min_length=1, max_length=4)]


class Election(_Part, frozen=True):
    """`election.toml`."""

    id: Identifier
    title: Title
    date: datetime.date
    time_zones: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    levels: Annotated[tuple[Level, ...], msgspec.Meta(min_length=1, max_length=limits.LEVELS_COUNT)]
    shard_level: str
    contests: Annotated[tuple[Contest, ...], msgspec.Meta(min_length=1, max_length=limits.CONTESTS_COUNT)]
    kinds: dict[str, Kind]
    parties: tuple[Party, ...] = ()
    station_title: Title = Title(id="TPS", en="Polling station")
    contact: Contact | None = None
    address: Address | None = None
    test: bool = False
    languages: tuple[Literal["id", "en"], ...] = ("id",)
    cards: bool | tuple[Literal["id", "en"], ...] = True
    area_time_zones: dict[str, str] = {}
    tiles: tuple[Tile, ...] = ()

    @property
    def groups(self) -> tuple[str, ...]:
        """Groups of contests, in the order of their first contest; each is one signing role."""
        return tuple(dict.fromkeys(contest.group for contest in self.contests))

    @property
    def card_languages(self) -> tuple[str, ...]:
        """Languages in which shared links have a picture; none where the site has no address, since only a full one leads to it."""
        if self.address is None or self.cards is False:
            return ()
        return self.languages[:1] if self.cards is True else self.cards

    def is_embedded(self, contest: "Contest", level: int, code: str) -> bool:
        """True for an area that has a page for frames and a card: those down to the shard level, and the one that the contest covers."""
        return level <= self.level_number(self.shard_level) or code == contest.area

    def contest(self, name: str) -> Contest | None:
        return next((contest for contest in self.contests if contest.id == name), None)

    def level_number(self, name: str) -> int:
        """Depth of a level: 0 for the root's."""
        return [level.id for level in self.levels].index(name)


class Definition:
    """A checked definition: the election, its areas, their shapes if it has some, and the bytes that all of it was read from."""

    def __init__(
        self, election: Election, areas: Areas, files: dict[str, bytes], topology: Topology | None = None
    ) -> None:
        self.election, self.areas, self.files, self.topology = election, areas, files, topology

    @cached_property
    def sha256(self) -> str:
        """Hash of the definition as an input of releases."""
        return input_hash(self.files)


def load_definition(directory: Path) -> Definition:
    """Read and check `election.toml`, `areas.csv[.gz]` and, if it is there, `map.topojson` in `directory`.

    Raises:
        DefinitionError: with file, line, field and rule.
    """
    toml_path = directory / "election.toml"
    toml = _read(toml_path, limits.DEFINITION_FILE)
    election = parse_election(toml, toml_path)
    candidates = [directory / name for name in ("areas.csv", "areas.csv.gz") if (directory / name).exists()]
    if len(candidates) != 1:
        found = "both areas.csv and areas.csv.gz are" if candidates else "neither areas.csv nor areas.csv.gz is"
        raise DefinitionError(f"{found} there; keep exactly one", file=directory, rule="areas-file")
    path = candidates[0]
    packed = _read(path, limits.AREAS_FILE)
    areas = parse_areas(_unpack(packed, path) if path.suffix == ".gz" else packed, election, path)
    _check_named_areas(election, areas, toml_path)
    # A megabyte of contests and one of areas, packed, would take all memory of whoever audits the site.
    if (tallied := len(areas) * len(election.contests)) > limits.TALLIED_AREAS_COUNT:
        problem = f"{len(election.contests)} contests in {len(areas)} areas are {tallied} tallies; at most {limits.TALLIED_AREAS_COUNT} are allowed"
        raise DefinitionError(problem, file=toml_path, field="contests", rule="size")
    files, topology, map_path = {"election.toml": toml, path.name: packed}, None, directory / MAP
    if map_path.exists():
        files[MAP] = _read(map_path, limits.MAP_FILE)
        topology = parse_topojson(files[MAP], areas.index, map_path)
    return Definition(election, areas, files, topology)


def parse_election(data: bytes, file: str | Path) -> Election:
    """`election.toml`'s bytes to a checked `Election`."""
    tree = parse_toml(data, file=file, error=DefinitionError)
    election = convert_toml(tree, Election, data, file=file, error=DefinitionError, forms=FORMS)
    _check_election(election, data, file)
    return election


def _check_election(election: Election, data: bytes, file: str | Path) -> None:
    parties = [party.id for party in election.parties]
    contests = (problem for contest in election.contests for problem in _contest_problems(contest, parties, election))
    for problem, field, rule, word in itertools.chain(_election_problems(election, parties), contests):
        line = line_of(data, field.rsplit(".", 1)[-1], word)
        raise DefinitionError(problem, file=file, line=line, field=field, rule=rule)


def _election_problems(election: Election, parties: list[str]) -> Iterator[tuple[str, str, str, str]]:
    """What is wrong with the election but for its contests: (problem, field, rule, the word to look for)."""
    levels = [level.id for level in election.levels]
    if word := _repeated(levels):
        yield f"level {word!r} stands twice", "levels.id", "duplicate-level", word
    if election.shard_level not in (levels[1:] or levels):
        problem = f"{election.shard_level!r} is not a level below the first one, nor the only one; levels: {', '.join(levels)}"
        yield problem, "shard_level", "unknown-level", election.shard_level
    for kind, parameters in election.kinds.items():
        if word := next((one for one in parameters.titles if one not in levels), None):
            problem = f"{word!r} is not a level; levels: {', '.join(levels)}"
            yield problem, f"kinds.{kind}.titles.{word}", "unknown-level", ""
    if word := _repeated([contest.id for contest in election.contests]):
        yield f"contest {word!r} stands twice", "contests.id", "duplicate-contest", word
    if word := _repeated(parties):
        yield f"party {word!r} stands twice", "parties.id", "duplicate-party", word
    yield from _language_problems(election)
    if word := _repeated([f"column = {tile.column}, row = {tile.row}" for tile in election.tiles]):
        yield f"two tiles stand at {word}", "tiles", "duplicate-tile", word
    zones = [("time_zones", zone) for zone in election.time_zones]
    zones += [(f"area_time_zones.{area}", zone) for area, zone in election.area_time_zones.items()]
    for field, zone in zones:
        if not _is_time_zone(zone):
            yield f"{zone!r} is not the name of a time zone; Indonesia's are {TIME_ZONES}", field, "time-zone", zone


def _language_problems(election: Election) -> Iterator[tuple[str, str, str, str]]:
    """What is wrong with the languages of pages and cards, likewise."""
    if election.languages[:1] != ("id",) or _repeated(list(election.languages)):
        yield "the languages of the pages are id, or id and en", "languages", "languages", ""
    cards = () if isinstance(election.cards, bool) else election.cards
    if _repeated(list(cards)) or not set(cards) <= set(election.languages):
        yield "cards are in languages of the pages, each named once", "cards", "cards", ""
    if cards and election.address is None:
        problem = "a link to a card has to be a full one: name the address of the site, or leave cards out"
        yield problem, "cards", "cards", ""


def _contest_problems(contest: Contest, parties: list[str], election: Election) -> Iterator[tuple[str, str, str, str]]:
    """What is wrong with one contest, likewise."""
    name, group = contest.id, contest.group
    if name != group and not name.startswith(f"{group}-"):
        yield f"contest {name!r} must begin with its group {group!r}", "contests.id", "group", name
    if group in RESERVED_NAMES:
        yield f"{group!r} is the name of another part of the site", "contests.group", "reserved-name", group
    if word := _repeated([str(candidate.number) for candidate in contest.candidates]):
        field = "contests.candidates.number"
        yield f"contest {name!r}: candidate number {word} is used twice", field, "duplicate-candidate", word
    if word := _repeated(list(contest.fields)):
        yield f"contest {name!r}: field {word!r} stands twice", "contests.fields", "duplicate-field", word
    for field in contest.fields:
        if field not in BALLOT_COUNTS:
            known = ", ".join(sorted(BALLOT_COUNTS))
            yield f"unknown ballot count {field!r}; known: {known}", "contests.fields", "unknown-field", field
    yield from _sirekap_problems(contest, election)
    for party in [candidate.party for candidate in contest.candidates]:
        if party is not None and party not in parties:
            yield f"party {party!r} is not in [[parties]]", "contests.candidates.party", "unknown-party", party


def _sirekap_problems(contest: Contest, election: Election) -> Iterator[tuple[str, str, str, str]]:
    """Why a contest cannot be published in Sirekap's shape, likewise: paths, and roles by them, are as KPU's five levels have them."""
    if contest.sirekap is None:
        return
    if contest.id != contest.group or len(election.levels) != 5 or election.level_number(election.shard_level) != 2:
        problem = f"contest {contest.id!r}: Sirekap's shape has five levels, with the third one as shard_level, and a contest of its group's name"
        yield problem, "contests.sirekap", "sirekap", "sirekap"
    if contest.area is not None:
        yield (
            f"contest {contest.id!r}: Sirekap's shape is of a contest of the root",
            "contests.sirekap",
            "sirekap",
            "sirekap",
        )
    if sorted(contest.sirekap.candidates.values()) != sorted(one.number for one in contest.candidates):
        problem = f"contest {contest.id!r}: name each candidate's number once, by the id that programs know"
        yield problem, "contests.sirekap.candidates", "sirekap", "candidates"
    if word := next((one for one in contest.sirekap.candidates if not re.fullmatch("[0-9]{1,12}", one)), None):
        yield (
            f"contest {contest.id!r}: {word[:40]!r} is no id, which is a number",
            "contests.sirekap.candidates",
            "sirekap",
            word,
        )


def _check_named_areas(election: Election, areas: Areas, file: Path) -> None:
    named = [(f"contest {one.id!r}", one.area, "contests.area") for one in election.contests if one.area is not None]
    named += [("area_time_zones", area, "area_time_zones") for area in election.area_time_zones]
    named += [(f"tile {tile.label!r}", tile.area, "tiles.area") for tile in election.tiles]
    for what, area, field in named:
        if area not in areas.index:
            problem = f"{what}: area {area!r} is not in {areas.file}"
            raise DefinitionError(problem, file=file, field=field, rule="unknown-area")


def _is_time_zone(name: str) -> bool:
    """True for a name of the tz database, by which the pages' times are made."""
    try:
        return re.fullmatch(r"[A-Za-z_]+(/[A-Za-z_-]+){0,2}", name) is not None and bool(ZoneInfo(name))
    except (ZoneInfoNotFoundError, OSError, ValueError):  # "Asia" is a folder there
        return False


def _repeated(values: list[str]) -> str | None:
    return next((value for number, value in enumerate(values) if value in values[:number]), None)


def _read(path: Path, cap: int) -> bytes:
    try:
        size = path.stat().st_size
        if size > cap:
            raise DefinitionError(f"{size} bytes; at most {cap} are allowed", file=path, rule="size")
        return path.read_bytes()
    except OSError as error:
        raise DefinitionError(f"cannot be read: {error.strerror}", file=path, rule="readable") from error


def _unpack(packed: bytes, path: Path) -> bytes:
    stream: Any = zlib.decompressobj(wbits=31)
    try:
        data: bytes = stream.decompress(packed, limits.AREAS_FILE + 1)
    except (zlib.error, gzip.BadGzipFile) as error:
        raise DefinitionError(f"not gzip: {error}", file=path, rule="gzip") from error
    if len(data) > limits.AREAS_FILE or not stream.eof or stream.unused_data:
        raise DefinitionError(f"not one gzip member of at most {limits.AREAS_FILE} bytes", file=path, rule="gzip")
    return data
