"""The languages of pages, and where each one's files lie: the first at the root, another in its folder or, where languages share a folder, with its name in the file's."""

__all__ = ["LANGUAGES", "language_folder", "language_suffix"]

LANGUAGES = ("id", "en")


def language_folder(language: str) -> str:
    """Folder of a language's pages, relative to the election: none for the first one's."""
    return "" if language == LANGUAGES[0] else f"{language}/"


def language_suffix(language: str) -> str:
    """What stands before the extension of a language's file beside those of the others: nothing for the first one's."""
    return "" if language == LANGUAGES[0] else f".{language}"
