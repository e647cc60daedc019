"""The letters beside a mean: runs as ranges, raised where Unicode has them as superscripts."""

import re

_PLAIN = "abcdefghijklmnoprstuvwxyz-"  # no q, which has no superscript in common fonts
_RAISED = str.maketrans(_PLAIN, "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ⁻")


def can_be_raised(letters: str) -> bool:
    """Whether all of them have a superscript: one letter each, and none of them q."""
    return set(letters) <= set(_PLAIN)


def raised(letters: str) -> str:
    """As superscripts: a-d as ᵃ⁻ᵈ."""
    return letters.translate(_RAISED)


def ranges(letters: str) -> str:
    """Shorter, and as clear: three or more letters that follow each other as a-d.

    So abcdfg becomes a-dfg: a dash belongs to the two letters beside it. From the 27th system on,
    whose letter is a1, letters have numbers and stand apart.
    """
    names = re.findall(r"[a-z]\d*", letters)
    runs: list[list[str]] = []
    for name in names:
        if runs and _follows(runs[-1][-1], name):
            runs[-1].append(name)
        else:
            runs.append([name])
    parts = [part for run in runs for part in ([f"{run[0]}-{run[-1]}"] if len(run) > 2 else run)]
    return (" " if any(len(name) > 1 for name in names) else "").join(parts)


def _follows(first: str, second: str) -> bool:
    """Whether the second is the next letter after the first, in the same turn of the alphabet."""
    return first[1:] == second[1:] and ord(first[0]) + 1 == ord(second[0])
