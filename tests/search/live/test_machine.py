"""Whatever is done to a folder and its index, in any order, a plain dictionary knows the answer."""

import os
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from searchkit.search.live import upkeep
from searchkit.search.live.nearest import Encoded, Nearest
from searchkit.search.live.sync import Plan, sync
from searchkit.search.watcher import Watcher

WORDS = ["ferry", "sheep", "radio", "tide", "lamp", "autoclave"]
NAMES = ["a.txt", "b.md", "sub/c.txt", "sub/deep/d.txt", "e f#1.txt"]
VARIANTS = ["mean-causal", "eos_last-causal"]

names = st.sampled_from(NAMES)
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)


class Crash(Exception):
    """Raised in the middle of a run."""


class Fragile(Watcher):
    """A watcher that raises when it has been told so many things."""

    def __init__(self, after: int) -> None:
        self._left = after

    def begin(self, what, total):
        self._tick()

    def advance(self, progress):
        self._tick()

    def done(self, step):
        self._tick()

    def _tick(self):
        self._left -= 1
        if self._left < 0:
            raise Crash


class Machine(RuleBasedStateMachine):
    """A folder, its index, and what is known of both.

    `disk` is what the files hold, `indexed` what the index must hold, by name.
    """

    follow = None
    toy = None

    @initialize()
    def begin(self):
        self.followed = type(self).follow()
        self.disk, self.indexed = {}, {}
        self.variants = set()
        self.is_encoded = True
        self.clock = 1_600_000_000
        self.followed.write(".keep", "")  # so that the folder is never taken for a missing disk
        self.followed.sync()

    @rule(name=names, text=texts, old=st.booleans())
    def write(self, name, text, old):
        """Old files are known by their stat, others are racy and compared by their bytes."""
        path = self.followed.write(name, text)
        self.disk[name] = text
        if old:
            self.clock += 1
            os.utime(path, (self.clock, self.clock))

    @precondition(lambda self: self.disk)
    @rule(data=st.data())
    def delete(self, data):
        name = data.draw(st.sampled_from(sorted(self.disk)))
        (self.followed.folder / name).unlink()
        del self.disk[name]

    @precondition(lambda self: self.disk)
    @rule(data=st.data(), new=names)
    def rename(self, data, new):
        name = data.draw(st.sampled_from(sorted(self.disk)))
        target = self.followed.folder / new
        target.parent.mkdir(parents=True, exist_ok=True)
        (self.followed.folder / name).rename(target)
        self.disk[new] = self.disk.pop(name)

    @rule()
    def sync(self):
        report = self.followed.sync()
        assert report.counts["deleted"] + report.counts["renamed"] <= len(self.indexed)
        self.indexed = dict(self.disk)
        self.check()

    @rule(name=st.sampled_from(["a.txt", "sub", "sub/deep"]))
    def sync_a_part(self, name):
        self.followed.sync(self.followed.folder / name)
        for known in NAMES:
            if known == name or known.startswith(f"{name}/"):
                self.indexed.pop(known, None)
                if known in self.disk:
                    self.indexed[known] = self.disk[known]
        self.check()

    @rule(name=st.sampled_from(VARIANTS))
    def add_variant(self, name):
        self.followed.sync(variants=[name])
        self.variants |= {name} if self.disk else set()  # nothing was there to encode
        self.indexed = dict(self.disk)
        self.check()

    @rule()
    def compact(self):
        upkeep.compact(self.followed.path)
        if self.is_encoded:
            self.check()
        else:
            assert upkeep.verify(self.followed.path) == []

    @rule(after=st.integers(0, 6), small=st.booleans())
    def crash(self, after, small):
        """What a broken run leaves is, file by file, the state before or the state after."""
        plan = Plan(workers=1, commit_chunks=1 if small else 100)
        with suppress(Crash):
            sync(
                self.followed.path,
                (),
                plan,
                Fragile(after),
                open_encoders=self.followed.open_encoders,
            )
        found = {name: text for name, (text,) in self.followed.texts().items()}
        for name in {*found, *self.indexed, *self.disk}:
            assert found.get(name) in (self.indexed.get(name), self.disk.get(name)), name
        self.indexed = found
        self.is_encoded = False
        assert upkeep.verify(self.followed.path) == []

    @rule(word=st.sampled_from(WORDS))
    def search(self, word):
        wanted = {name for name, text in self.indexed.items() if word in text.split()}
        assert self.followed.found(word) == wanted

    @precondition(lambda self: self.variants)
    @rule(data=st.data())
    def search_dense(self, data):
        """The nearest rows to the vector of a text are those of the files that hold it."""
        name = data.draw(st.sampled_from(sorted(self.variants)))
        text = data.draw(texts)
        generation = self.followed.open()
        numbers = generation.encoders()[name].segments
        nearest = Nearest(
            [Encoded(number, generation.vectors(name, number)) for number in numbers],
            self.toy.vector(name, text),
            {
                number: generation.catalogue.alive(number, generation.segments[number])
                for number in numbers
            },
        )
        found = {
            chunk.doc_id
            for row in nearest.best(1)
            if row.score > 0.9999
            for places in [generation.catalogue.places(row.segment)]
            for chunk in generation.catalogue.chunks(places.chunk_ids[places.rows == row.row])
        }
        encoded = {
            chunk.doc_id
            for doc_id in self.indexed
            for chunk in generation.catalogue.chunks_of_document(doc_id)
            if chunk.segment in numbers
        }
        assert found == {one for one in encoded if self.indexed[one] == text}

    @invariant()
    def holds_what_it_should(self):
        if hasattr(self, "indexed"):
            assert self.followed.texts() == {name: [self.indexed[name]] for name in self.indexed}

    def check(self):
        """What holds after every run that ended well."""
        self.is_encoded = True
        assert upkeep.verify(self.followed.path) == []
        assert all(coverage.whole for coverage in self.followed.open().encoders().values())
        for variant in self.variants:
            vectors = self.followed.vectors(variant)
            assert set(vectors) == set(self.indexed)
            for name, found in vectors.items():
                wanted = self.toy.vector(variant, self.indexed[name])
                np.testing.assert_array_equal(found, [wanted])


def run(follow, toy, examples, steps):
    bound = type("Bound", (Machine,), {"follow": staticmethod(follow), "toy": toy})
    how = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(bound, settings=how)


def test_an_index_is_what_a_dictionary_says(follow, toy):
    run(follow, toy, examples=6, steps=15)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_an_index_is_what_a_dictionary_says_at_length(follow, toy):
    run(follow, toy, examples=150, steps=40)
