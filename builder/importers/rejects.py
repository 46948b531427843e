"""Which rows of a source can be taken, and what is wrong with the others, in the words of who has to mend them there."""

import polars as pl

from builder import limits
from builder.election import Contest, Definition
from builder.importers.source import ResultsMap
from builder.rules import NOT_AN_INTEGER, REFUSE_RULES, STATION

__all__ = ["judge_rows", "rejected_rows"]

# Fields and wording are intake's; where two rules have one code, the first is the series count's.
RULES = {rule.code: rule for rule in reversed(REFUSE_RULES)}
CELLS = pl.col(pl.String)
# A spreadsheet would compute such a cell when the operator opens the file: a link, a call of a program. A plain number stays.
IS_FORMULA = CELLS.str.contains(r"^[=+@\t\r-]") & ~CELLS.str.contains(r"^-[0-9]+$")


def judge_rows(
    text: pl.DataFrame, map_: ResultsMap, contest: Contest, definition: Definition, covers: pl.Series
) -> pl.DataFrame:
    """Rows with `place` (row in `Areas`), `cover` (place of the area that their package covers), figures, `reject`.

    `text` is what `ResultsMap.read` gave; `reject` is the code of the first rule that a row breaks.
    """
    areas, count = definition.areas, map_.series == "count"
    figures = [text[name].cast(pl.Int32, strict=False) for name in contest.figures]
    odd = pl.any_horizontal(_odd(text[name]) for name in contest.figures)
    place = text["area"].cast(pl.Enum(areas.codes), strict=False).to_physical().cast(pl.Int32).alias("place")
    top = areas.index[contest.area] if contest.area else 0
    last = pl.Series([level == len(definition.election.levels) - 1 for level in areas.levels])
    frame = pl.DataFrame([place, text["station"].fill_null("").alias("station"), *figures]).with_columns(
        covers.gather(place),
        (text["time"] if "time" in text.columns else pl.lit(None, dtype=pl.String)).alias("time"),
    )
    station_fits = pl.col("station").str.contains(STATION) if count else pl.col("station") == ""
    tests = (
        ("unreadable", text["reject"].is_not_null() if "reject" in text.columns else pl.lit(False)),
        ("unknown-area", pl.col("place").is_null()),
        ("contest-area", (pl.col("place") < top) | (pl.col("place") >= areas.ends[top])),
        ("wrong-level", ~last.gather(place.fill_null(0)) & count),
        ("station", ~station_fits),
        ("not-an-integer", odd),
        ("duplicate-row", pl.struct("place", "station").is_duplicated()),
    )
    reasons = (pl.when(broken).then(pl.lit(code)) for code, broken in tests)
    return frame.with_columns(pl.coalesce(*reasons).alias("reject"))


def rejected_rows(
    text: pl.DataFrame, judged: pl.DataFrame, map_: ResultsMap, contest: Contest, definition: Definition
) -> pl.DataFrame:
    """The rows of `text` that are not taken, with the rule (`reject`), the source's name of the `field`, and `problem`."""
    own = text["reject"] if "reject" in text.columns else pl.lit(None, dtype=pl.String)
    found = text.drop("reject", "time", strict=False).with_columns(judged["reject"], own.alias("own"))
    found = found.filter(pl.col("reject").is_not_null())
    columns = ("area", "station", *contest.figures)
    by_rule = [pl.when(pl.col("reject") == rule.code).then(pl.lit(rule.field)) for rule in RULES.values()]
    by_cell = [pl.when(_odd(found[name])).then(pl.lit(name)) for name in contest.figures]
    found = found.with_columns(pl.when(pl.col("own").is_null()).then(pl.coalesce(*by_rule, *by_cell)).alias("field"))
    value = pl.coalesce(pl.when(pl.col("field") == name).then(pl.col(name)) for name in columns).fill_null("")
    wording = (pl.when(pl.col("reject") == rule.code).then(pl.lit(rule.problem)) for rule in RULES.values())
    problem = pl.coalesce(*wording, pl.lit(NOT_AN_INTEGER))
    named = (
        pl.when(pl.col("field") == name).then(pl.lit(map_.named(name))) for name in found["field"].unique() if name
    )
    # pl.format in place of concat_str panics here (polars 2.1.0, 31 rows of test_overseas_2024).
    found = found.with_columns(
        pl.coalesce(*named, pl.lit("")).alias("field"),
        pl.coalesce(
            "own", pl.concat_str(pl.lit("'"), value, pl.lit("' "), problem, _lost_zeros(found, definition))
        ).alias("problem"),
    )
    return found.drop("own").with_columns(pl.when(IS_FORMULA).then(pl.lit("'") + CELLS).otherwise(CELLS).name.keep())


def _lost_zeros(found: pl.DataFrame, definition: Definition) -> pl.Series:
    """What to say of an unknown area's code that has more zeros before it in areas.csv: spreadsheets take codes for numbers."""
    whole = {code.lstrip("0"): code for code in definition.areas.codes if code.startswith("0") and code.strip("0")}
    hint = {
        short: f", but {code}; a spreadsheet that takes codes for numbers drops the zeros before them"
        for short, code in whole.items()
    }
    said = found["area"].replace_strict(hint, default="", return_dtype=pl.String)
    return said.zip_with(found["reject"] == "unknown-area", pl.Series([""])).fill_null("")


def _odd(cells: pl.Series) -> pl.Series:
    """True where a cell does not read back as what was written: `-0`, ` 42`, `4_2`, `007` and 2^63 all fall out."""
    figures = cells.cast(pl.Int32, strict=False)
    return figures.cast(pl.String).ne_missing(cells) | ~figures.fill_null(0).is_between(0, limits.FIGURE)
