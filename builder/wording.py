"""What results hold, in the words of one language: a status, a difference, a finding, a revision, a source.

The words are those of `texts/<language>.toml`; what they are about comes from docs/formats.md, "Results".
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from builder.election import Contest, Election, Title
from builder.figures import Figures, local_date, local_time, share, signed, station_name, zone_name
from builder.templates import Texts, as_ascii

__all__ = ["HASH_SHOWN", "SHAPES", "Results", "Wording"]

Results = Mapping[str, Any]

# A status' shape as an SVG path in a square of ten: ring, half, disc, square, diamond, triangle; fonts of old phones lack such signs.
SHAPES = {
    "pre-election": "M5 .5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9zM5 2a3 3 0 1 1 0 6a3 3 0 1 1 0-6z",
    "unofficial-partial": "M5 .5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9zM5 2a3 3 0 1 1 0 6z",
    "unofficial-complete": "M5 .5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9z",
    "certified": "M1 1h8v8H1z",
    "correction": "M5 0l5 5-5 5-5-5z",
    "recount": "M5 .5l5 9H0z",
}
HASH_SHOWN = 12
_DIFFERENCES_SHOWN = 4


class Wording:
    """One language's words for an election's results."""

    def __init__(self, texts: Texts, election: Election, language: str) -> None:
        self.texts, self.words = texts, texts["values"]
        self.figures = Figures(self.words["none"], texts["calendar"]["group"])
        self.figure: Callable[[int | None], str] = self.figures.__getitem__
        self._english = language == "en"
        self._zones = (election.time_zones[0], election.area_time_zones)
        self._zone_names = {
            zone: zone_name(zone, election.date)
            for zone in (election.time_zones[0], *election.area_time_zones.values())
        }
        self.station = self.title(election.station_title)
        self.levels = {level.id: self.title(level.title) for level in election.levels}
        self._titles = {
            (level.id, kind): self.title(parameters.titles.get(level.id, level.title))
            for kind, parameters in election.kinds.items()
            for level in election.levels
        }
        # All levels' titles, by each kind that has some of its own.
        self.kinds = {
            kind: [self._titles[level, kind] for level in self.levels]
            for kind, parameters in election.kinds.items()
            if parameters.titles
        }
        self._title_words = {key: frozenset(re.findall(r"\w+", title.lower())) for key, title in self._titles.items()}
        self._local_time = lru_cache(maxsize=4_096)(partial(local_time, calendar=texts["calendar"]))
        self.station_note: Callable[[str, int | None, str], str] = lru_cache(maxsize=65_536)(self._station_note)

    def title(self, title: Title) -> str:
        return title.en if self._english else title.id

    def level(self, level: str, kind: str) -> str:
        """A level's title for areas of `kind`; "" where their names stand alone."""
        return self._titles.get((level, kind), level)

    def area(self, area: Mapping[str, str]) -> str:
        """An area's name with its level's title; without it where the name begins with a word of that: `KOTA JAMBI`, not `Kabupaten/Kota KOTA JAMBI`."""
        name, level = area["name"], (area["level"], area["kind"])
        if not self._titles[level] or name.partition(" ")[0].lower() in self._title_words[level]:
            return name
        title: str = self.words["area_title"].format(level=self._titles[level], area=name)
        return title

    def share(self, part: int | None, whole: int | None) -> str:
        return share(part, whole, self.texts["calendar"]["decimal"])

    def date(self, election: Election) -> str:
        return local_date(election.date, self.texts["calendar"])

    def time(self, utc: str, areas: Sequence[str] = ()) -> str:
        """A UTC time as it is written in the zone of `areas`."""
        return self._local_time(utc, self.zone(areas)[0])

    def zone(self, areas: Sequence[str] = ()) -> tuple[str, str]:
        """The zone (IANA, abbreviation) of the last of `areas` (codes, from the root down) that has one of its own, else the first zone."""
        zone, of_area = self._zones
        if of_area:
            zone = next((of_area[code] for code in reversed(areas) if code in of_area), zone)
        return zone, self._zone_names[zone]

    def field(self, field: str) -> str:
        labels, sexes = self.texts["fields"], self.texts["sexes"]
        base, _, sex = field.rpartition("_")
        label: str = sexes[sex].format(field=labels[base]) if sex in sexes else labels[field]
        return label

    def status(self, series: Mapping[str, Any] | None) -> tuple[str, str]:
        """A series' status as shape and words."""
        if series is None:
            return SHAPES["pre-election"], self.words["no_recap_short"]
        return SHAPES[series["status"]], self.texts["statuses"][series["status"]]

    def recap_note(self, recap: Mapping[str, Any] | None, below: Mapping[str, Any] | None) -> str:
        """What there is to say about the recap before it is compared."""
        if recap:
            return str(self.words["recap_withdrawn"]) if recap["withdrawn"] else ""
        if not below:
            return str(self.words["no_recap"])
        handed_in, expected = self.figure(below["handed_in"]), self.figure(below["expected"])
        note: str = self.words["no_recap_below"].format(handed_in=handed_in, expected=expected)
        return note if handed_in == expected else f"{note} {self.words['difference_waits']}"

    def comparison(self, results: Results, contest: Contest) -> str:
        """Both series' difference in a sentence; "" while they cannot be compared."""
        steps = results["difference"]
        if steps is None or None in steps:
            return ""
        recap = results["recap"]
        series = self.words["series_recap" if recap and not recap["withdrawn"] else "series_below"]
        partial = results["count"]["status"] == "unofficial-partial"
        if not any(steps):
            return str(self.words["same_so_far" if partial else "same"].format(series=series))
        apart = [
            self.words["difference_of"].format(number=candidate.number, difference=signed(step, self.figures))
            for candidate, step in zip(contest.candidates, steps, strict=True)
            if step
        ]
        more = [self.words["and_more"].format(count=len(apart) - _DIFFERENCES_SHOWN)] * (
            len(apart) > _DIFFERENCES_SHOWN
        )
        listed = self.words["comma"].join([*apart[:_DIFFERENCES_SHOWN], *more])
        sentence: str = self.words["different"].format(series=series, differences=listed)
        return f"{sentence} {self.words['count_incomplete']}" if partial else sentence

    def _station_note(self, state: str, revision: int | None, findings: str) -> str:
        """What stands beside a station: its state in words, its revision if it has been changed, how many findings it has."""
        parts = [self.words[state]] if state else []
        if revision is not None and revision > 1:
            parts.append(self.words["revised"].format(revision=revision))
        if findings:
            parts.append(self.words["has_findings"].format(count=findings.count(" ") + 1))
        return as_ascii("; ".join(parts))

    def finding(self, finding: Mapping[str, Any]) -> str:
        """A finding as a sentence with both its figures."""
        rules, code = self.texts["rules"], finding["rule"]
        sentence = rules[code]["sentence"] if code in rules else self.words["unknown_rule"]
        text = sentence.format(rule=code, left=self.figure(finding["left"]), right=self.figure(finding["right"]))
        whole: str = self.words["finding"].format(series=self.words[finding["series"]].capitalize(), sentence=text)
        return whole

    def rule(self, code: str) -> str:
        rules: Mapping[str, Mapping[str, str]] = self.texts["rules"]
        return rules[code]["label"] if code in rules else code

    def finding_counts(self, counts: Mapping[str, int]) -> list[tuple[str, str]]:
        ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return [(self.rule(code), self.figure(times)) for code, times in ordered]

    def revision_titles(self, revisions: Sequence[Mapping[str, Any]]) -> list[str]:
        """Titles of an area's revisions, which are in order for each station and series: what follows a withdrawal counts again, and says so."""
        titles, withdrawn = list[str](), set[tuple[str, str]]()
        for revision in revisions:
            title, key = self.revision_title(revision), (revision["series"], revision["station"])
            if revision["state"] == "withdrawn":
                withdrawn.add(key)
            elif key in withdrawn:
                withdrawn.remove(key)
                title = f"{title}, {self.words['counts_again']}"
            titles.append(title)
        return titles

    def revision_title(self, revision: Mapping[str, Any]) -> str:
        series, number = self.words[revision["series"]], revision["revision"]
        if revision["station"]:
            title = self.words["station_revision"].format(
                station=station_name(self.station, revision["station"]), series=series, revision=number
            )
        else:
            title = self.words["area_revision"].format(series=series.capitalize(), revision=number)
        return f"{title}, {self.words[revision['state']]}" if revision["state"] else title

    def reason(self, revision: Mapping[str, Any]) -> str:
        reason: str = self.texts["reasons"].get(revision["reason"], revision["reason"])
        return self.words["reason_note"].format(reason=reason, note=revision["note"]) if revision["note"] else reason

    def authority(self, signed_by: Mapping[str, Any], names: Mapping[str, str]) -> str:
        """Who vouches for figures; an official, told by code and key, by the name of his area first. `names`: areas by code."""
        by, words = signed_by["by"], self.words
        code, _, key = by.partition(" ")
        if signed_by["attestation"] == "official" and code in names:
            return str(words["official"].format(area=names[code], code=code, key=key))
        attestation = self.texts["attestations"].get(signed_by["attestation"], signed_by["attestation"])
        return str(words["authority"].format(by=by, attestation=attestation))

    def given(self, text: str) -> str:
        """A text of a cover, or the words that there is none."""
        return text or self.words["none_given"]

    def size(self, length: int) -> str:
        """Bytes as kilobytes: what a download will take."""
        size: str = self.words["kilobytes"].format(count=self.figure((length + 999) // 1000))
        return size
