"""What msgspec says of a TOML file, in plain words: what is wrong, and what to write instead."""

import re
from collections.abc import Mapping

__all__ = ["plain"]

_TYPES = {
    "str": "a text in quotation marks",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "date": "a date like 2029-02-14",
    "datetime": "a date with a time",
    "array": "a list in square brackets",
    "object": "a table",
}
_TYPE = re.compile(r"Expected `([a-z |]+)`, got `([a-z]+)`")
_ENUM = re.compile(r"Invalid enum value (.+)")
_SENTENCES = {
    r"Invalid RFC3339 encoded date": "must be a date like 2029-02-14",
    r"Object missing required field `(.+)`": "{!r} is missing; add it",
    r"Object contains unknown field `(.+)`": "there is no key {!r} here; is it misspelt, or does it belong to another table?",
    r"Invalid enum value (.+)": "{} is not one of the words that may stand here",
    r"Expected `(?:str|array)[ |nul]*` of length >= 1": "must not be empty",
    r"Expected `str[ |nul]*` of length <= (\d+)": "must have at most {} characters",
    r"Expected `array[ |nul]*` of length <= (\d+)": "must have at most {} entries",
    r"Expected `(?:int|float)[ |nul]*` >= ([\d.]+)": "must be at least {}",
    r"Expected `(?:int|float)[ |nul]*` <= ([\d.]+)": "must be at most {}",
    r"Expected `(?:int|float)[ |nul]*` > ([\d.]+)": "must be more than {}",
}


def plain(problem: str, forms: Mapping[str, str], key: str) -> str:
    """`problem` is msgspec's sentence about the value of `key`; `forms` says, by key, what a text must look like. What is not known here stays as it is."""
    if "matching regex" in problem:
        return forms.get(key, problem)
    if (found := _ENUM.fullmatch(problem)) and key in forms:
        return f"{found[1]} is not one of the words that may stand here: {forms[key]}"
    if found := _TYPE.fullmatch(problem):
        wanted = " or ".join(_TYPES.get(kind, kind) for kind in found[1].split(" | ") if kind != "null")
        return f"must be {wanted}, not {_TYPES.get(found[2], found[2])}"
    matches = ((re.fullmatch(pattern, problem), words) for pattern, words in _SENTENCES.items())
    return next((words.format(*match.groups()) for match, words in matches if match), problem)
