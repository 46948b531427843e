"""A contest's results as NIST's Common Data Format has them: SP 1500-100r2, Election Results Reporting, JSON.

Down to the shard level; what lies beneath is in the tables. Units are `gp-<code>`, as areas are in our paths. The count from the stations and the official
recapitulation are two kinds of one count: the count has the type `total`, the recapitulation `other` with `OtherType` "recapitulation".
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from builder.areas import path_name
from builder.election import Candidate, Contest, Definition, Title
from builder.exports import top_row
from builder.results import View
from builder.tally import Tally

__all__ = ["cdf_report"]

_RECAP = {"Type": "other", "OtherType": "recapitulation"}
_TOTAL = {"Type": "total"}
_REGISTERED, _VOTERS = "registered", "voters"
_encode = msgspec.json.Encoder(order="sorted").encode

Unit = dict[str, Any]
Figures = Mapping[str, Any]


def cdf_report(definition: Definition, tally: Tally, view: View) -> bytes:
    """The report of one contest; `view` is that of its own area."""
    contest, election, areas = tally.contest, definition.election, definition.areas
    top, depth = top_row(definition, contest), election.level_number(election.shard_level)
    rows = [
        row for row in range(top, areas.ends[top]) if row == top or areas.levels[row] <= max(depth, areas.levels[top])
    ]
    figures = list(zip(rows, tally.areas[rows].iter_rows(named=True), strict=True))
    report = {
        "@type": "ElectionResults.ElectionReport",
        "Format": "summary-contest",
        "GeneratedDate": view["released"],
        "Issuer": election.title.id,
        "IssuerAbbreviation": election.id,
        "IsTest": election.test,
        "SequenceStart": 1,
        "SequenceEnd": 1,
        "Status": _status(view),
        "VendorApplicationId": "terbit",
        "Notes": f"Release {view['release']}. Counts of type total are sums of the polling stations; of type other, the official recapitulation.",
        "GpUnit": [_unit(definition, row, one, set(rows)) for row, one in figures],
        "Party": [
            {"@type": "ElectionResults.Party", "@id": f"party-{party.id}", "Name": _text(Title(party.name, party.name))}
            for party in election.parties
            if any(candidate.party == party.id for candidate in contest.candidates)
        ],
        "Election": [
            {
                "@type": "ElectionResults.Election",
                "ElectionScopeId": _id(definition, 0),
                "Name": _text(election.title),
                "StartDate": election.date.isoformat(),
                "EndDate": election.date.isoformat(),
                "Type": "general",
                "Candidate": [_candidate(candidate) for candidate in contest.candidates],
                "Contest": [_contest(definition, contest, figures)],
                "BallotCounts": list(_ballots(definition, figures)),
            }
        ],
    }
    # The root is what the election's scope names, whatever the contest covers.
    if top != 0:
        report["GpUnit"].insert(0, _unit(definition, 0, {}, set()))
    if not report["Party"]:
        del report["Party"]
    return _encode(report) + b"\n"


def _contest(definition: Definition, contest: Contest, figures: Sequence[tuple[int, Figures]]) -> Unit:
    own = figures[0][1]
    return {
        "@type": "ElectionResults.CandidateContest",
        "@id": f"contest-{contest.id}",
        "ElectionDistrictId": _id(definition, figures[0][0]),
        "Name": contest.title.id,
        "BallotTitle": _text(contest.title),
        "VotesAllowed": 1,
        "SubUnitsReported": own["reported"],
        "TotalSubUnits": own["expected"],
        "CountStatus": [_count_status(own)],
        "ContestSelection": [
            {
                "@type": "ElectionResults.CandidateSelection",
                "@id": f"selection-{candidate.number}",
                "CandidateIds": [f"candidate-{candidate.number}"],
                "SequenceOrder": candidate.number,
                "VoteCounts": list(_votes(definition, f"votes_{candidate.number}", figures)),
            }
            for candidate in contest.candidates
        ],
    }


def _votes(definition: Definition, name: str, figures: Sequence[tuple[int, Figures]]) -> Iterator[Unit]:
    for row, one in figures:
        unit = {"@type": "ElectionResults.VoteCounts", "GpUnitId": _id(definition, row)}
        if one[name] is not None:
            yield {**unit, **_TOTAL, "Count": one[name]}
        if one[f"recap_{name}"] is not None and not one["recap_withdrawn"]:
            yield {**unit, **_RECAP, "Count": one[f"recap_{name}"]}


def _ballots(definition: Definition, figures: Sequence[tuple[int, Figures]]) -> Iterator[Unit]:
    """Ballots cast and those found invalid, as far as the form has them."""
    names = {"BallotsCast": _VOTERS, "BallotsRejected": "invalid"}
    for row, one in figures:
        for prefix, kind in (("", _TOTAL), ("recap_", _RECAP)):
            if prefix and (one["recap_revision"] is None or one["recap_withdrawn"]):
                continue
            counts = {
                member: one[f"{prefix}{name}"] for member, name in names.items() if one.get(f"{prefix}{name}") is not None
            }  # fmt: skip
            if counts:
                yield {"@type": "ElectionResults.BallotCounts", "GpUnitId": _id(definition, row), **kind, **counts}


def _unit(definition: Definition, row: int, figures: Figures, shown: set[int]) -> Unit:
    areas, level = definition.areas, definition.election.levels[definition.areas.levels[row]]
    unit: Unit = {
        "@type": "ElectionResults.ReportingUnit",
        "@id": _id(definition, row),
        "Type": "other",
        "OtherType": level.id,
        "Name": _text(Title(areas.names[row], areas.names[row])),
        "ExternalIdentifier": [
            {"@type": "ElectionResults.ExternalIdentifier", "Type": "national-level", "Value": areas.codes[row]}
        ],
    }
    if figures:
        unit |= {"SubUnitsReported": figures["reported"], "TotalSubUnits": figures["expected"], "CountStatus": [_count_status(figures)]}  # fmt: skip
        members = {"VotersRegistered": _REGISTERED, "VotersParticipated": _VOTERS}
        unit |= {member: figures[name] for member, name in members.items() if figures.get(name) is not None}
    below, child = [], row + 1
    while child < areas.ends[row]:
        if child in shown:
            below.append(_id(definition, child))
        child = areas.ends[child]
    return unit | ({"ComposingGpUnitIds": below} if below else {})


def _candidate(candidate: Candidate) -> Unit:
    told = {
        "@type": "ElectionResults.Candidate",
        "@id": f"candidate-{candidate.number}",
        "BallotName": _text(Title(candidate.name, candidate.name)),
    }
    return told | ({"PartyId": f"party-{candidate.party}"} if candidate.party else {})


def _count_status(figures: Figures) -> Unit:
    reported, expected = figures["reported"], figures["expected"]
    status = "not-processed" if not reported else "in-process" if reported < expected else "completed"
    return {"@type": "ElectionResults.CountStatus", "Type": "total", "Status": status}


def _status(view: View) -> str:
    """A recapitulation in force for the whole area outweighs the count."""
    recap = view["recap"]
    status: str = (recap if recap and not recap["withdrawn"] else view["count"])["status"]
    return status


def _text(title: Title) -> Unit:
    texts = {"id": title.id} if title.id == title.en else {"id": title.id, "en": title.en}
    return {
        "@type": "ElectionResults.InternationalizedText",
        "Text": [
            {"@type": "ElectionResults.LanguageString", "Language": language, "Content": text}
            for language, text in texts.items()
        ],
    }


def _id(definition: Definition, row: int) -> str:
    return f"gp-{path_name(definition.areas.codes[row])}"
