"""A study from its file to its page: trainings, scores, words.

study.toml                   the file as it was read
weights/<name>-<seed>/       of each training, see `searchkit.encode.weights`
scores.csv provenance.json   as searchkit eval saves them, with explorer/
study.json                   what is known of the trainings
README.md                    the page
"""

from dataclasses import replace
from pathlib import Path

from searchkit import places
from searchkit.encode import blocks
from searchkit.encode.embedder import TextEncoder
from searchkit.errors import BadInput
from searchkit.evaluate import results, runner
from searchkit.evaluate.results import Results, SystemFacts
from searchkit.evaluate.sets import OpenSet, open_all, texts_of
from searchkit.evaluate.suite import Suite
from searchkit.files import write_text
from searchkit.search.watcher import Watcher
from searchkit.study import page, record, training
from searchkit.study.study import Study
from searchkit.study.systems import origins, suite_of

PAGE, WEIGHTS = "README.md", "weights"


def run(study: Study, folder: Path, *, command: str, device: str | None, watcher: Watcher) -> None:
    """Train, evaluate and describe; what is finished is kept, what was killed goes on.

    Args:
        study: what to do.
        folder: where all of it goes; made if need be.
        command: what was typed, for the record.
        device: where to compute; the best there is by default.
        watcher: told how it goes on.

    Raises:
        BadInput, UnknownName: before the first step, of all that can be known by then; or a
            training that is finished is of another study, or unlike the others.
    """
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is a file; --output is a folder to keep the study in")
    open_all(suite_of(study))  # for what it raises
    pairs = training.data(study, watcher.say)
    trained = training.train(study, pairs, folder / WEIGHTS, device=device, watcher=watcher)
    suite = suite_of(study, folder / WEIGHTS)
    suite = replace(suite, device=device or suite.device)
    _encode_in_turn(suite, watcher)
    # Runs are let go of: of so many systems they do not fit into memory, nor are they needed.
    outcome = runner.evaluate(suite, command=command, watcher=watcher, keep=lambda *_: None)
    results.save(folder, _with_origins(study, outcome.results))
    record.save(folder, record.record(study, pairs, trained))
    write_text(folder / "study.toml", study.text)
    report(folder)


def report(folder: Path) -> Path:
    """Draw the page of a study again, from its files alone.

    Returns:
        Where it is.

    Raises:
        BadInput: the folder holds no study.
    """
    told = record.load(folder)  # first, since its complaint says what fills such a folder
    write_text(folder / PAGE, page.render(results.load(folder), told))
    return folder / PAGE


def _encode_in_turn(suite: Suite, watcher: Watcher) -> None:
    """Have each model encode everything there is before the next one is loaded.

    The evaluation goes set by set, and would have all models in memory at once; this way it finds
    all vectors remembered, and loads none.
    """
    sets = open_all(suite)
    for encoder in runner.open_encoders(suite, places.evaluations() / "memories"):
        names = ", ".join(encoder.names)
        watcher.enter(f"encoding with {names}")
        for one in sets:
            _encode(encoder, one, suite.seed, watcher)


def _encode(encoder: TextEncoder, one: OpenSet, seed: int, watcher: Watcher) -> None:
    """Leave what a model makes of a set's texts to its memory."""
    for role, texts in texts_of(one.data, seed):
        watcher.begin(f"encoding {one.name}: {', '.join(encoder.names)}", len(texts))
        blocks.vectors_of(encoder, encoder.names[0], texts, role, report=watcher.advance)


def _with_origins(study: Study, found: Results) -> Results:
    """Each system with the design and seed that it has in the study, wherever that lies."""
    known = origins(study)

    def told(facts: SystemFacts) -> SystemFacts:
        origin = known.get(facts.name)
        details = dict(facts.details)
        if (row := details.get("variant")) and row["weights"]:
            details["variant"] = {**row, "weights": f"{WEIGHTS}/{facts.name}"}
        return replace(
            facts,
            design=origin.design if origin else facts.name,
            seed=origin.seed if origin else None,
            details=details,
        )

    return replace(found, systems={name: told(facts) for name, facts in found.systems.items()})
