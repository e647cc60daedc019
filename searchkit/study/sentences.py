"""What a study found, in plain words made of its numbers."""

from collections.abc import Iterator, Mapping, Sequence

from searchkit.evaluate.families import FamilyPair
from searchkit.evaluate.numbers import ALPHA, ALPHA_TEXT, counted, fixed, p_value, signed
from searchkit.evaluate.over_sets import BY_ITEMS, BY_SETS
from searchkit.evaluate.significance import CONFIDENCE
from searchkit.study.figures import BESIDE, DESIGNS, TRAINING, Family, Figures
from searchkit.study.study import OTHER_BATCHES


def opening(figures: Figures) -> str:
    """What was done, in one paragraph."""
    record, systems = figures.record, figures.designs.systems
    seeds = len({one.seed for one in record.trainings})
    seen = record.trainings[0].pairs
    others = [one for one in figures.others if systems[one].kind != "run"]
    beside = f", beside {_listed(others)}" if others else ""
    sets = sum(len(family.sets) for family in figures.families)
    apart = [row.name for row in record.rows if OTHER_BATCHES in row.deviations]
    but = f" (but for {_listed(apart)}, whose templates change the batches)" if apart else ""
    return (
        f"{counted(len(record.rows), 'design')} of embedders over one language model, "
        f"{record.base}, each trained with {counted(seeds, 'seed')}, shown the same {seen:,} pairs "
        f"in the same order for each seed{but}, and compared on {counted(sets, 'set')}{beside}."
    )


def reading() -> str:
    """What the columns of all tables mean."""
    return (
        f"A difference is averaged over the sets of a task; the {CONFIDENCE:.0%} interval is that "
        f"of a bootstrap over sets and items. p by sets: {BY_SETS}. {BY_ITEMS} Holm: p corrected "
        "over the differences of its table, by sets and by items apart. The seeds of a design are "
        "averaged item by item before it is compared, so no interval holds what another seed would "
        "change; between seeds is that, the standard deviation of the mean."
    )


def of_designs(figures: Figures, usual: str) -> Iterator[str]:
    """For each family, the best design, and which differ from the usual one beyond chance."""
    for family in figures.families:
        names = figures.groups[usual]
        means = {name: mean for name in names if (mean := figures.mean(family, name)) is not None}
        best = max(means, key=lambda name: means[name])
        said = f"{_where(family)}: the highest mean is {best}'s, {fixed(means[best])}"
        if best != usual:
            said += f", {signed(means[best] - means[usual])} from {usual}"
        pairs = figures.pairs(DESIGNS.format(usual), family)
        yield f"{said}. {_differing(pairs, usual)}".rstrip()


def untrained() -> str:
    """What a design is before it is trained."""
    return (
        "Untrained: the language model as it was, and of a pooling with weights those that its "
        "trainings began with, which the seed draws."
    )


def of_training(figures: Figures) -> Iterator[str]:
    """For each family, how many designs training improved, and which it did not.

    What holds for further items of these sets is said apart from what holds for further sets.
    """
    for family in figures.families:
        pairs = figures.pairs(TRAINING, family)
        if not pairs:
            continue
        by_sets = _above_zero({pair.a: pair.low for pair in pairs})
        by_items = _above_zero({pair.a: pair.items_low for pair in pairs})
        yield (
            f"{_where(family)}: of {counted(len(pairs), 'design')}, {by_sets} gained by training, "
            f"with an interval above zero. Given these sets, by items: {by_items}."
        )


def of_others(figures: Figures, other: str) -> Iterator[str]:
    """For each family, the best of what was trained here beside another system.

    Nothing is said of what takes part in some of its sets alone: others stand beside it there.
    """
    for family in figures.families:
        pairs = [
            pair
            for pair in figures.pairs(BESIDE.format(other), family)
            if pair.a in figures.trained and pair.sets == len(family.sets)
        ]
        if not pairs:
            continue
        best = max(pairs, key=lambda pair: pair.difference)
        yield (
            f"{_where(family)}: the best is {best.a}, {signed(best.difference)} from {other} "
            f"({signed(best.low)} to {signed(best.high)}), corrected p {p_value(best.holm_p)}; "
            f"given these sets, by items, {signed(best.items_low)} to {signed(best.items_high)}, "
            f"corrected p {p_value(best.items_holm_p)}."
        )


def _differing(pairs: Sequence[FamilyPair], usual: str) -> str:
    """Which differences a corrected p-value speaks for, or why none could have one."""
    if not pairs:
        return ""
    sure = [pair.a for pair in pairs if pair.holm_p < ALPHA]
    given = [pair.a for pair in pairs if pair.items_holm_p < ALPHA]
    least = min(1.0, pairs[0].least_p * len(pairs))
    if sure:
        said = f"A corrected p below {ALPHA_TEXT} has the difference of {_listed(sure)}."
    elif least >= ALPHA:
        said = (
            f"So few sets cannot tell: the least corrected p there can be for one of "
            f"{counted(len(pairs), 'difference')} is {p_value(least)}."
        )
    else:
        said = f"No difference from {usual} has a corrected p below {ALPHA_TEXT}."
    return f"{said} Given these sets, by items, {_listed(given) if given else 'none'} has one."


def _above_zero(lows: Mapping[str, float]) -> str:
    """How many intervals begin above zero, and which do not."""
    rest = [name for name, low in lows.items() if low <= 0]
    return f"{len(lows) - len(rest)}{f' (not {_listed(rest)})' if rest else ''}"


def _where(family: Family) -> str:
    return f"{family.task} ({counted(len(family.sets), 'set')}, {family.measure})"


def _listed(names: Sequence[str]) -> str:
    """A; A and B; A, B and C."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
