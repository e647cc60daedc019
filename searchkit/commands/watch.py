"""searchkit watch: an index that follows its folders as they change."""

import shlex
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from searchkit.commands import _options as options
from searchkit.commands._streams import say
from searchkit.errors import BadInput, SearchkitError

if TYPE_CHECKING:
    from searchkit.corpus.folder import Rules


def run(
    index: Annotated[
        str, typer.Argument(help="The name of an index, or its directory.", show_default=False)
    ],
    wait: Annotated[
        float,
        typer.Option(min=0.05, help="Seconds of quiet to wait for after a change."),
    ] = 1.0,
    no_encoding: Annotated[
        bool,
        typer.Option("--no-encoding", help="BM25 alone; searchkit index encodes what is new."),
    ] = False,
) -> None:
    """Bring the index of a folder into step whenever something in the folder changes.

    Ctrl-C ends it; an index that is searched meanwhile is always whole.

    Examples:
      searchkit watch notes

      searchkit watch notes --wait 5 --no-encoding
    """
    from watchfiles import watch

    from searchkit.commands._terminal import Terminal, notes
    from searchkit.commands.index import show_report
    from searchkit.index.live.generation import Generation
    from searchkit.search.live.plan import Plan
    from searchkit.search.live.sync import sync

    path = Generation.open(options.index_path(index)).store.path.resolve()
    trouble = ""

    def follow(folders: Iterable[Path]) -> bool:
        """Bring the index into step; False if the next try may do what this one could not."""
        nonlocal trouble
        before, trouble = trouble, ""
        try:
            with Terminal() as terminal:
                report = sync(path, tuple(folders), Plan(encode=not no_encoding), terminal)
        except (SearchkitError, OSError) as error:  # another writer, a disk that is gone
            trouble = str(error)
            if trouble != before:
                say(f"searchkit: {error}")
            return False
        if set(report.counts) - {"unchanged", "ignored"} or report.encoded:
            show_report(report)
        return True

    roots, there = _roots(path)
    if not there:
        raise BadInput(f"{path} follows no folder that is there; is a disk missing?")
    quiet = round(wait * 1000)
    while True:
        for root in roots:
            if root not in there:
                notes.tell(f"note   {root} is not there, and not watched until it is")
        if there:
            follow(there)
            notes.tell(f"watching {', '.join(map(str, there))}")
        behind = True  # nobody tells what changed before the watching began
        watched = there
        try:
            for changes in watch(
                *watched,
                watch_filter=None,
                step=quiet,
                debounce=10 * quiet,
                rust_timeout=5 * quiet,
                yield_on_timeout=True,
                ignore_permission_denied=True,
            ):
                behind |= any(concerns(path, roots, Path(changed)) for _, changed in changes)
                if behind and watched:
                    behind = not follow(watched)
                roots, there = _roots(path)
                if there != watched:
                    break
        except OSError as error:
            roots, there = _roots(path)
            if there == watched:  # else one went away just now
                raise SearchkitError(
                    f"{', '.join(map(str, watched))} cannot be watched ({error}); bring the index "
                    f"into step by hand: {shlex.join(['searchkit', 'index', '--name', index])}"
                ) from error


def _roots(path: Path) -> tuple[dict[Path, "Rules"], dict[Path, tuple[int, int]]]:
    """The folders that an index follows, and which folders those are of them that are there.

    A folder that was put in the place of another one has its path, and is not the one watched.
    """
    from searchkit.index.live.generation import CATALOGUE
    from searchkit.index.store import Store
    from searchkit.search.live.scan import rules_of

    facts = Store.open(path).facts(CATALOGUE)
    roots = {Path(root["path"]): rules_of(root["rules"]) for root in facts["roots"]}
    there = {}
    for root in roots:
        with suppress(OSError):
            status = root.stat()
            if stat.S_ISDIR(status.st_mode):
                there[root] = (status.st_dev, status.st_ino)
    return roots, there


def concerns(path: Path, roots: Mapping[Path, "Rules"], changed: Path) -> bool:
    """Whether a change may matter to an index.

    Args:
        path: the directory of the index, resolved; it may lie in what it follows.
        roots: what it follows.
        changed: what was changed. A folder that links lead to may be told as in any of them.
    """
    from searchkit.corpus.folder import is_entered

    real = changed.resolve()
    return not real.is_relative_to(path) and any(
        is_entered(place.relative_to(root), rules)
        for root, rules in roots.items()
        for place in (changed, real)
        if place.is_relative_to(root)
    )
