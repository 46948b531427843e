"""What a comparison needs of the signed election definition: the contests' figures, and where an area's results lie."""

import csv
import io
import zlib
from dataclasses import dataclass
from typing import Annotated

import msgspec

from verifier import limits
from verifier.client import Client
from verifier.errors import FormatError, VerificationError

__all__ = ["Contest", "Definition", "Form", "load_definition"]

ELECTION = "trust/election.toml"
AREAS = ("trust/areas.csv", "trust/areas.csv.gz")
GZIP = 31


class Candidate(msgspec.Struct, frozen=True):
    number: int


class Form(msgspec.Struct, frozen=True):
    """What a contest's form asks for; `figures` are its columns in the order of `rows.csv`."""

    candidates: tuple[Candidate, ...]
    fields: tuple[str, ...]

    @property
    def figures(self) -> tuple[str, ...]:
        return (*(f"votes_{candidate.number}" for candidate in self.candidates), *self.fields)


class Contest(Form, frozen=True):
    """One contest."""

    id: str
    group: str


class _Level(msgspec.Struct, frozen=True):
    id: str


class _Election(msgspec.Struct, frozen=True):
    id: str
    levels: Annotated[tuple[_Level, ...], msgspec.Meta(min_length=1)]
    shard_level: str
    contests: Annotated[tuple[Contest, ...], msgspec.Meta(min_length=1)]


@dataclass(frozen=True)
class Definition:
    """`contests` by id; of each area's code, its `level` and `parent`."""

    contests: dict[str, Contest]
    depth: int
    shard_level: str
    levels: dict[str, str]
    parents: dict[str, str]

    def shard(self, area: str) -> str:
        """The shard area that `area` lies in or is, as it stands in paths; empty above the shard level."""
        for _ in range(self.depth):
            if self.levels.get(area) == self.shard_level:
                return _path_name(area)
            area = self.parents.get(area, "")
        return ""

    def path(self, contest: Contest, area: str) -> tuple[str, str]:
        """The role that may list the area's results file, and the file's path (docs/formats.md, "Public tree")."""
        shard, name = self.shard(area), _path_name(area)
        if not shard:
            return contest.group, f"{contest.id}/{name}.json"
        return f"{contest.group}-{shard}", f"{contest.id}/{shard}/{name}.json"


def load_definition(client: Client) -> Definition:
    """The definition that the refreshed `client`'s release has, verified; FormatError if it is none."""
    try:
        election = msgspec.toml.decode(client.target(ELECTION), type=_Election)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{ELECTION} is no election definition: {error}") from None
    levels: dict[str, str] = {}
    parents: dict[str, str] = {}
    try:
        reader = csv.DictReader(io.StringIO(_areas(client).decode()), strict=True)
        for row in reader:
            levels[row["code"]], parents[row["code"]] = row["level"], row["parent"]
    except (csv.Error, KeyError, UnicodeDecodeError) as error:
        raise FormatError(f"the list of areas is not what its format says: {error}") from None
    contests = {contest.id: contest for contest in election.contests}
    return Definition(contests, len(election.levels), election.shard_level, levels, parents)


def _areas(client: Client) -> bytes:
    """areas.csv, unpacked up to its cap."""
    listed = [path for role in client.walk(only={"trust"}) for path in AREAS if path in role.targets.targets]
    if len(listed) != 1:
        raise VerificationError(f"{' or '.join(AREAS)} must be listed, and only one of them")
    path = listed[0]
    data = client.target(path)
    if path.endswith(".gz"):
        unpacked = zlib.decompressobj(GZIP)
        try:
            data = unpacked.decompress(data, limits.AREAS_FILE)
        except zlib.error as error:
            raise FormatError(f"{path} cannot be unpacked: {error}") from None
        if not unpacked.eof:
            raise FormatError(f"{path} is cut off, or unpacks to more than {limits.AREAS_FILE} bytes")
    return data


def _path_name(area: str) -> str:
    return area.replace("-", "n")
