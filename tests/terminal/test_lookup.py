"""Answers to what is being typed: in order, for the newest query alone, without waiting."""

import asyncio
import gc
import threading
import time
import weakref

import pytest

from searchkit.errors import UnknownName
from searchkit.search.source import System
from searchkit.terminal.lookup import Fault, Latest, Lookup

HYBRID = System("hybrid", "letters")
DENSE = System("dense", "letters")
WORDS = System("bm25")


async def until(condition):
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come about")


def told(answers):
    return [(one.query, one.column, one.complete) for one in answers]


def run(script, shelf, **options):
    said, spawned = [], []

    def spawn(job):
        spawned.append(asyncio.ensure_future(job))
        return spawned[-1]

    async def within():
        lookup = Lookup(shelf, said.append, spawn, pause=options.pop("pause", 0.0), **options)
        await script(lookup, said)

    asyncio.run(asyncio.wait_for(within(), 30))
    return said


def test_words_come_at_once_and_vectors_when_they_are_ready(shelf):
    shelf.open.clear()

    async def script(lookup, said):
        lookup.ask("distilled water", [HYBRID])
        await until(lambda: said)
        assert told(said) == [("distilled water", 0, False)]
        shelf.open.set()
        await until(lambda: len(said) == 2)

    first, second = run(script, shelf)
    assert second.complete
    assert [result.key for result in first.results[:2]] == ["lab/autoclave.md", "lab/cold-store.md"]
    by_hand = shelf.results(
        "distilled water",
        {
            "BM25": shelf.words("distilled water"),
            "letters": shelf.dense("distilled water", "letters"),
        },
        50,
    )
    assert list(second.results) == by_hand


def test_an_answer_to_an_earlier_query_is_never_given(shelf):
    shelf.open.clear()

    async def script(lookup, said):
        lookup.ask("distilled water", [HYBRID])
        await until(lambda: said)
        await until(lambda: shelf.asked)  # its vectors are being looked up
        lookup.ask("ferry", [HYBRID])
        shelf.open.set()
        await until(lambda: said[-1].query == "ferry" and said[-1].complete)

    said = run(script, shelf)
    assert told(said) == [("distilled water", 0, False), ("ferry", 0, False), ("ferry", 0, True)]


def test_only_a_query_at_which_typing_rests_is_encoded(shelf):
    async def script(lookup, said):
        for end in range(1, 6):
            lookup.ask("ferry"[:end], [HYBRID])
            await asyncio.sleep(0.01)
        await until(lambda: said and said[-1].complete)

    run(script, shelf, pause=0.15)
    assert shelf.asked == ["ferry"]


def test_every_column_gets_its_own_answer_from_one_pass_over_words_and_vectors(shelf):
    async def script(lookup, said):
        lookup.ask("sea water", [DENSE, HYBRID])
        await until(lambda: len(said) == 3)

    said = run(script, shelf)
    assert told(said) == [
        ("sea water", 1, False),
        ("sea water", 0, True),
        ("sea water", 1, True),
    ]
    assert shelf.asked == ["sea water"]
    assert said[1].results != said[2].results


def test_two_columns_of_one_system_are_both_answered(shelf):
    async def script(lookup, said):
        lookup.ask("ferry", [DENSE, DENSE])
        await until(lambda: len(said) == 2)

    assert told(run(script, shelf)) == [("ferry", 0, True), ("ferry", 1, True)]


def test_together_nothing_tells_which_column_is_which(shelf):
    """Neither what comes first, nor what is longer."""

    async def script(lookup, said):
        lookup.ask("distilled water", [WORDS, DENSE], together=True)
        await until(lambda: len(said) == 2)

    words, dense = run(script, shelf)
    assert words.complete and dense.complete
    assert len(words.results) == len(dense.results) == 4
    assert len(shelf.dense("distilled water", "letters")) == 5


def test_what_a_query_lacks_is_said_in_its_place(shelf):
    async def script(lookup, said):
        lookup.ask('an "open quote', [HYBRID])
        await until(lambda: said)
        await asyncio.sleep(0.05)

    (fault,) = run(script, shelf)
    assert fault == Fault('an "open quote', "a quote has no end; close it", typing=True)


def test_an_encoder_that_is_not_there_is_no_fault_of_the_query(shelf):
    def gone(query, variant, k):
        raise UnknownName("the model is gone")

    shelf.dense = gone

    async def script(lookup, said):
        lookup.ask("ferry", [HYBRID])
        await until(lambda: len(said) == 2)

    words, fault = run(script, shelf)
    assert not words.complete
    assert fault == Fault("ferry", "the model is gone", typing=False)


def test_what_was_asked_can_be_forgotten(shelf):
    shelf.open.clear()

    async def script(lookup, said):
        lookup.ask("ferry", [HYBRID])
        await until(lambda: said)
        lookup.forget()
        shelf.open.set()
        await asyncio.sleep(0.05)

    assert told(run(script, shelf)) == [("ferry", 0, False)]


def test_a_model_that_loads_does_not_hold_up_words(shelf):
    shelf.open.clear()

    async def script(lookup, said):
        lookup.warm("letters")
        await until(lambda: any(thread.busy for thread in lookup.threads))
        lookup.ask("ferry", [WORDS])
        await until(lambda: said)
        shelf.open.set()

    assert told(run(script, shelf)) == [("ferry", 0, True)]


async def one_at_work_and_one_behind(latest, gate, done):
    """A job that is at work until the gate opens, and one that waits for it."""
    first = asyncio.ensure_future(latest.run(lambda: (gate.wait(10), done.append(1))))
    await until(lambda: latest.busy)
    second = asyncio.ensure_future(latest.run(lambda: done.append(2)))
    await asyncio.sleep(0)
    return first, second


class TestLatest:
    def test_drops_jobs_that_waited_behind_a_newer_one(self):
        gate, done = threading.Event(), []

        async def script():
            latest = Latest("test")
            first, second = await one_at_work_and_one_behind(latest, gate, done)
            third = asyncio.ensure_future(latest.run(lambda: done.append(3)))
            await asyncio.sleep(0)
            gate.set()
            await asyncio.gather(first, third)
            with pytest.raises(asyncio.CancelledError):
                await second

        asyncio.run(script())
        assert done == [1, 3]

    def test_gives_an_error_to_who_asked_and_goes_on(self):
        async def script():
            latest = Latest("test")
            with pytest.raises(ZeroDivisionError):
                await latest.run(lambda: 1 // 0)
            return await latest.run(lambda: 5)

        assert asyncio.run(script()) == 5

    def test_lets_go_of_what_a_job_held(self, shelf):
        async def script():
            latest, source = Latest("test"), type(shelf)()
            held = weakref.ref(source)
            await latest.run(source.refresh)
            del source
            await until(lambda: not latest.busy)
            gc.collect()
            return held()

        assert asyncio.run(script()) is None

    def test_ends_with_what_it_is_at_when_it_is_closed(self):
        gate, done = threading.Event(), []

        async def script():
            latest = Latest("closed")
            first, second = await one_at_work_and_one_behind(latest, gate, done)
            latest.close()
            assert latest.busy
            gate.set()
            await first
            for job in (second, latest.run(lambda: done.append(3))):
                with pytest.raises(asyncio.CancelledError):
                    await job
            await until(lambda: "closed" not in [one.name for one in threading.enumerate()])
            assert not latest.busy

        asyncio.run(script())
        assert done == [1]

    def test_does_not_keep_the_program_from_ending(self):
        async def script():
            latest = Latest("test")
            waiting = asyncio.ensure_future(latest.run(lambda: time.sleep(3600)))
            await until(lambda: latest.busy)
            waiting.cancel()
            return [one for one in threading.enumerate() if one.name == "test"]

        assert all(thread.daemon for thread in asyncio.run(script()))
