"""Pages rendered afresh while templates and content are being written; nothing of it is signed or published."""

from pathlib import Path

from builder.site import Inputs, Site, make_tallies
from builder.tally import Tally
from publish.workspace import Workspace

__all__ = ["Preview"]


class Preview:
    """Renders one page at a time from the ledger's last cut and the inputs as they are on disk now."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._tallies: dict[str, Tally] = make_tallies(workspace.rows, workspace.definition, workspace.ledger.cuts)
        self._stamp: tuple[tuple[str, int], ...] = ()
        self._site: Site | None = None

    def render(self, path: str) -> bytes | None:
        """The file at `path` below the public root; None if the site has none of that name."""
        election, _, name = path.partition("/")
        if election != self._workspace.definition.election.id or not name.endswith((".html", ".css", ".js")):
            return None
        return self._current().render(name)

    def _current(self) -> Site:
        """The site with today's templates; made again only when a file of them changed."""
        inputs = self._workspace.inputs
        stamp = tuple(
            (str(path), path.stat().st_mtime_ns)
            for folder in (inputs.templates, inputs.content)
            for path in _files(folder)
        )
        if self._site is None or stamp != self._stamp:
            fresh = Inputs(inputs.content, inputs.templates)
            fresh.__dict__["definition"] = inputs.definition  # a new definition needs a new tally: start serve again
            self._site, self._stamp = Site(fresh, self._workspace.ledger, self._tallies), stamp
        return self._site


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
