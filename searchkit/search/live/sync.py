"""Bringing an index into step with its folders.

First the files: what is gone goes, and what changed is read, cut into chunks and added to the
catalogue, the texts and the words, in commits of bounded size. Then the vectors: of every segment
that an encoder has not encoded yet. A killed run loses what it had not committed, and the next one
goes on from there.
"""

import errno
import sqlite3
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path

from searchkit import catalog
from searchkit.corpus.reading import format_of
from searchkit.errors import BadInput, SearchkitError
from searchkit.index.live.catalogue import Root
from searchkit.index.live.generation import CATALOGUE, KIND, VECTOR_INDEXES, Generation
from searchkit.index.store import Draft, Store
from searchkit.search.live import compaction, counting, encoding
from searchkit.search.live.batch import Batch, KnownRows
from searchkit.search.live.encoding import OpenEncoders, Wanted
from searchkit.search.live.intake import BINARY, Intake, Taken, doc_id_of
from searchkit.search.live.plan import FileOutcome, NeedsYes, Plan, Reading, Report, What
from searchkit.search.live.survey import Survey, cost_of_cutting, scopes_of, survey
from searchkit.search.watcher import Done, Watcher

__all__ = ["FileOutcome", "Plan", "Report", "sync"]

_CHUNKING, _KINDS = "chunking", "vector_indexes"  # settings of the catalogue
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FULL_WORDS = ("No space left", "File too large", "disk is full", "Disk quota")
_HIDDEN = "a folder above it is passed over"


def sync(
    path: Path,
    places: Sequence[Path] = (),
    plan: Plan | None = None,
    watcher: Watcher | None = None,
    *,
    open_encoders: OpenEncoders | None = None,
) -> Report:
    """Bring an index into step with its folders, or with parts of them.

    Args:
        path: the directory of the index, made if need be.
        places: a folder outside all roots becomes a root; of what lies in a root, only that is
            looked at, and nothing else is touched. None for all roots.
        plan: what to do besides.
        watcher: told of every step.
        open_encoders: opens variants, for those who have a way of their own.

    Raises:
        BadInput: a place or a root is not there; a root that has files in the index is empty.
        NeedsYes: what the plan asks for costs work that was done before.
        SearchkitError: another process is writing the index, or the disk is full.
        CorruptFile: a part of the index that is needed is damaged.
    """
    started = time.perf_counter()
    plan, watcher = plan or Plan(), watcher or Watcher()
    path = path.resolve()
    wanted = [place.expanduser().resolve() for place in places]
    for kind in plan.vector_indexes or ():
        catalog.load(VECTOR_INDEXES, kind)
    if plan.dry_run:
        report = _rehearse(path, wanted, plan)
    else:
        report = _perform(path, wanted, plan, watcher, open_encoders)
    report.seconds = time.perf_counter() - started
    return report


def _rehearse(path: Path, places: Sequence[Path], plan: Plan) -> Report:
    """What a run would do; nothing is written, and no lock is taken."""
    report = Report(dry=True)
    generation = Generation.open(path) if (path / "manifest.json").exists() else None
    found = survey(path, generation, places, plan, report)
    _tell_gone(found, report)
    for candidate in found.scan.read:
        with suppress(OSError):
            if format_of(candidate.found.path) is None:
                report.add(candidate.path, "ignored", BINARY)
                continue
        report.add(candidate.path, candidate.what)
    if generation is None:
        return report
    asked = encoding.asked_for(plan, generation)
    report.notes += _costs(generation, found, asked)
    for one in asked + encoding.held_already(plan, generation, asked, report.notes):
        if lacking := encoding.missing(generation, one):
            report.encoded[one.name] = sum(generation.segments[number] for number in lacking)
    return report


def _perform(
    path: Path,
    places: Sequence[Path],
    plan: Plan,
    watcher: Watcher,
    open_encoders: OpenEncoders | None,
) -> Report:
    if not (path / "manifest.json").exists():
        scopes_of([], places, plan.rules)  # for what it refuses, before a directory is made
    store = Store.create_or_open(path)
    with _room_on_the_disk(path), store.writing() as draft:
        if store.names() and store.corpus.get("kind") != KIND:
            raise BadInput(
                f"{path} holds the corpus {store.corpus.get('name')}, not a folder; choose another "
                "--name"
            )
        draft.corpus = {"kind": KIND}
        run = _Run(store, draft, plan, watcher)
        run.files(places)
        run.vectors(open_encoders)
        return run.report


class _Run:
    """One run, under the lock.

    Args:
        store: the index.
        draft: of the store; it is committed again and again.
        plan: what to do.
        watcher: told of every step.
    """

    def __init__(self, store: Store, draft: Draft, plan: Plan, watcher: Watcher) -> None:
        self._store, self._draft, self._plan, self._watcher = store, draft, plan, watcher
        self._known = KnownRows(store)
        self._asked: list[Wanted] = []
        self.report = Report()

    def files(self, places: Sequence[Path]) -> None:
        """Bring catalogue, texts and words into step."""
        generation = self._generation()
        self._watcher.begin("looking at files", 0)
        found = survey(self._store.path, generation, places, self._plan, self.report)
        self._refuse_costs(generation, found)
        roots = {root.root: root for root in (generation.catalogue.roots() if generation else [])}
        roots |= {scope.root.root: scope.root for scope in found.scopes}
        with self._batch() as batch:
            self._apply(found, generation, roots, batch)
        total = len(found.scan.read)
        if not total:
            return
        self._watcher.begin("reading files", total)
        intake = Intake(roots, found.cutting, self._plan)
        with closing(self._watched(intake.take(found.scan.read), total)) as taken:
            done = False
            while not done:
                with self._batch() as batch:
                    done = self._fill(batch, taken)
                self.report.chunks_added += batch.chunks
                self.report.rows_added += batch.rows

    def vectors(self, open_encoders: OpenEncoders | None) -> None:
        """Bring the vectors into step, and the shape of the segments."""
        generation = Generation(self._store)  # `files` made it, if nobody before
        wanted = self._asked
        if self._plan.encode:
            wanted = wanted + encoding.held_already(
                self._plan, generation, wanted, self.report.notes
            )
            lacking = [one for one in wanted if encoding.missing(generation, one)]
            for one in wanted:
                if one not in lacking and one.name in (held := generation.encoders()):
                    self._watcher.done(Done(one.name, True, dict(held[one.name].facts)))
            if lacking:
                encoding.encode(
                    self._store,
                    self._draft,
                    lacking,
                    self._plan,
                    self._watcher,
                    self.report,
                    open_encoders,
                )
        compaction.merge(self._store, self._draft, compaction.due(Generation(self._store)))
        if kinds := generation.settings[_KINDS]:
            encoding.index_vectors(self._store, self._draft, kinds, self._watcher)

    def _generation(self) -> Generation | None:
        return Generation(self._store) if CATALOGUE in self._store.names() else None

    def _batch(self) -> Batch:
        return Batch(self._store, self._draft, self._known)

    def _refuse_costs(self, generation: Generation | None, found: Survey) -> None:
        """Make sure that what costs more than new files do was asked for, before it begins."""
        self._asked = encoding.asked_for(self._plan, generation)
        costs = _costs(generation, found, self._asked) if generation else []
        if costs and not self._plan.yes:
            raise NeedsYes("; ".join(costs))
        self.report.notes += costs

    def _apply(
        self,
        found: Survey,
        generation: Generation | None,
        roots: Mapping[int, Root],
        batch: Batch,
    ) -> None:
        """Note all that needs no reading."""
        settings = generation.settings if generation else {}
        kinds = self._plan.vector_indexes
        asked = {
            _CHUNKING: found.cutting.setting,
            _KINDS: settings.get(_KINDS, []) if kinds is None else list(kinds),
        }
        for name, value in asked.items():
            if settings.get(name) != value:
                batch.catalogue.set(name, value)
        if settings.get(_CHUNKING) != found.cutting.setting:
            counting.keep(found.cutting.counter, self._draft)
        elif found.cutting.counter.file and counting.PART not in self._store.names():
            batch.catalogue.set(_CHUNKING, found.cutting.setting)  # so that there is a commit
            counting.keep(found.cutting.counter, self._draft)
        for root in found.new_roots:
            batch.catalogue.add_root(root)
        for root in found.new_rules:
            batch.catalogue.set_rules(root.root, root.rules)
        for root in found.forgotten:
            batch.forget_root(root.root)
        _tell_gone(found, self.report)
        for one in found.scan.gone:
            batch.forget(one.record.path)
        for record in found.scan.ignored:
            batch.replace(record)
        for record in found.scan.noted:
            batch.note(record)
        for move in found.scan.moves:
            batch.move(
                move.old.path, move.new, partial(doc_id_of, roots[move.new.root], move.new.path)
            )

    def _watched(self, files: Iterator[Taken], total: int) -> Generator[Taken, None, None]:
        started = time.perf_counter()
        for number, taken in enumerate(files, 1):
            yield taken
            self._watcher.advance(Reading(number, total, time.perf_counter() - started))

    def _fill(self, batch: Batch, files: Iterator[Taken]) -> bool:
        """Add files until there is enough for a commit; whether those were all."""
        started = time.monotonic()
        for taken in files:
            batch.replace(taken.record, taken.documents)
            state, what = taken.record.state, taken.candidate.what
            told = what if state == "indexed" else state
            self.report.add(taken.record.path, told, taken.record.reason)
            full = batch.chunks >= self._plan.commit_chunks
            if full or time.monotonic() - started > self._plan.commit_seconds:
                return False
        return True


def _costs(generation: Generation, found: Survey, asked: Sequence[Wanted]) -> list[str]:
    """What has to be done again that was done before, as clauses."""
    costs = encoding.costs_of_stale(asked, sum(generation.segments.values()))
    return [*costs, cost_of_cutting(generation, found.cutting)] if found.cut_anew else costs


def _tell_gone(found: Survey, report: Report) -> None:
    for one in found.scan.gone:
        # A folder that could not be read has a record, too, until it can.
        if one.record.state != "ignored" and one.record.inode:
            what: What = "ignored" if one.hidden else "deleted"
            report.add(one.record.path, what, _HIDDEN if one.hidden else "")
    for move in found.scan.moves:
        report.add(move.new.path, "renamed", move.old.path)


@contextmanager
def _room_on_the_disk(path: Path) -> Iterator[None]:
    """Say in one line that there is none, whichever library met the end of it.

    Raises:
        SearchkitError: a write failed for lack of room.
    """
    try:
        yield
    except (OSError, sqlite3.Error, ValueError, RuntimeError) as error:
        told: BaseException | None = error
        while told is not None:
            full = isinstance(told, OSError) and told.errno in _FULL
            # A quota that is used up is no more than a write that failed, as SQLite tells it.
            code = getattr(told, "sqlite_errorcode", None)
            full = full or code == sqlite3.SQLITE_IOERR_WRITE
            if full or any(words in str(told) for words in _FULL_WORDS):
                raise SearchkitError(
                    f"there is no room left to write {path} ({error}); free some, and run it again:"
                    " what was committed before is kept"
                ) from error
            told = told.__context__
        raise
