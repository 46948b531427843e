"""Pages that no release has any more: what stands at their aliases afterwards.

A new definition may take areas away, an editor a content page. Their objects stay, since earlier releases list them; but an alias that went on showing the old
figures would pass for a result that is still in force. It shows a page of the role `site` that says what happened. Results and their signatures
make way for `gone.json`, which is no results file and which no signature fits.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from builder.ledger import Cut
from builder.pack import Entry, pack_names, read_index, read_pack
from builder.pages import GONE_DATA, GONE_PAGES
from builder.tally import definition_cut, pages_cut
from publish.release.draft import Draft, DraftState
from publish.release.record import RecordStore
from publish.targets import Alias
from verifier.files import is_results, object_path

__all__ = ["gone_aliases", "gone_paths", "kept_files"]

SITE, SNAPSHOT = "site", "snapshot"


def gone_paths(
    store: RecordStore, draft: Draft, state: DraftState, cuts: list[Cut]
) -> tuple[frozenset[str], frozenset[str]]:
    """Aliases to be replaced now, and all that show one of these pages after that; as paths of pages and of results files.

    What the target held is what its record says, even where the target shows another timestamp by now: a run that was stopped goes on.
    """
    record = store.read()
    if record is None:
        return frozenset(), frozenset()
    entries = {entry.path: entry for pack in pack_names(draft.files) for entry in read_index(draft.files, pack)}
    # While all pages stay as they are, a role of results only gains files.
    roles = [SITE] if state.since >= pages_cut(cuts) else [role for role in record.roles if role != SNAPSHOT]
    listed = {role: store.recorded_targets(record, role) for role in roles}
    is_kept = kept_files(state.since, cuts)
    shown = {
        path
        for role, paths in listed.items()
        for path in paths
        if (path.endswith(".html") if role == SITE else not is_kept(path))
    }
    removed = shown - entries.keys() - {*GONE_PAGES}
    still = frozenset(record.gone) - entries.keys()
    return frozenset(removed | (still if _changed(listed.get(SITE, {}), entries) else frozenset())), frozenset(
        removed | still
    )


def kept_files(since: int, cuts: Sequence[Cut]) -> Callable[[str], bool]:
    """Which files, by their paths, that a role of results lists at release `since` are still in force where the draft has no others.

    A new definition may have taken areas away; other templates or another program make all but results files anew, and may make fewer.
    """
    if since >= pages_cut(cuts):
        return lambda path: True
    return is_results if since >= definition_cut(cuts) else lambda path: False


def gone_aliases(paths: frozenset[str], draft: Draft) -> Iterator[list[Alias]]:
    """The aliases that take the places of `paths`."""
    objects = {
        entry.path: (object_path(entry), data)
        for entry, data in (read_pack(draft.files, SITE) if paths else ())
        if entry.path in {*GONE_PAGES, GONE_DATA}
    }
    for path in sorted(paths):
        if path.endswith(".html"):
            # Its links are relative: one for each depth.
            yield [Alias(path, *objects[GONE_PAGES[path.count("/")]])]
        else:
            names = (path, f"{path}.minisig") if is_results(path) else (path,)
            yield [Alias(name, *objects[GONE_DATA]) for name in names]


def _changed(before: Mapping[str, tuple[int, str]], entries: Mapping[str, Entry]) -> bool:
    """True if the pages themselves are others than those that the target shows."""
    names = (*GONE_PAGES, GONE_DATA)
    return any(before.get(name) != (entries[name].length, entries[name].sha256) for name in names if name in entries)
