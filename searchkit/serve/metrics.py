"""What a server did, in the text format of Prometheus.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
TEXTS = (1, 2, 4, 8, 16, 32, 64, 128)

Labels = Mapping[str, str]


class Requests:
    """Counts of requests that are over, by route and status, and how long they took."""

    def __init__(self) -> None:
        self._statuses: dict[tuple[str, str, int], int] = {}
        self._seconds: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one; `route` is a pattern of a few, and never an address as it was asked for."""
        key = (method, route, status)
        self._statuses[key] = self._statuses.get(key, 0) + 1
        counts = self._seconds.setdefault(route, [0] * (len(SECONDS) + 1))
        place = next((i for i, bound in enumerate(SECONDS) if seconds <= bound), len(SECONDS))
        counts[place] += 1
        self._sums[route] = self._sums.get(route, 0.0) + seconds

    def lines(self) -> Iterable[str]:
        """Both metrics."""
        yield from counted(
            "searchkit_requests_total",
            "Requests that are over.",
            [
                ({"method": method, "route": route, "status": str(status)}, count)
                for (method, route, status), count in sorted(self._statuses.items())
            ],
        )
        yield from _header("searchkit_request_seconds", "How long they took.", "histogram")
        for route, counts in sorted(self._seconds.items()):
            yield from _histogram(
                "searchkit_request_seconds",
                {"route": route},
                [*map(str, SECONDS)],
                counts,
                self._sums[route],
            )


def batches(sizes: Mapping[str, Mapping[int, int]]) -> Iterable[str]:
    """Of each model, how many texts its batches had."""
    name = "searchkit_encoder_batch_texts"
    yield from _header(name, "Texts that a model encoded at once.", "histogram")
    for model, of in sorted(sizes.items()):
        counts = [0] * (len(TEXTS) + 1)
        for size, count in of.items():
            place = next((i for i, bound in enumerate(TEXTS) if size <= bound), len(TEXTS))
            counts[place] += count
        total = sum(size * count for size, count in of.items())
        yield from _histogram(name, {"model": model}, [*map(str, TEXTS)], counts, total)


def gauge(name: str, help_: str, values: Iterable[tuple[Labels, float]]) -> Iterable[str]:
    """A metric that goes up and down."""
    yield from _header(name, help_, "gauge")
    yield from (_line(name, labels, value) for labels, value in values)


def counted(name: str, help_: str, values: Iterable[tuple[Labels, float]]) -> Iterable[str]:
    """A metric that only grows."""
    yield from _header(name, help_, "counter")
    yield from (_line(name, labels, value) for labels, value in values)


def resident_bytes() -> int:
    """The memory that this process has in use; 0 where the system does not say."""
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def _histogram(
    name: str, labels: Labels, bounds: Sequence[str], counts: Sequence[int], total: float
) -> Iterable[str]:
    so_far = 0
    for bound, count in zip((*bounds, "+Inf"), counts, strict=True):
        so_far += count
        yield _line(f"{name}_bucket", {**labels, "le": bound}, so_far)
    yield _line(f"{name}_sum", labels, total)
    yield _line(f"{name}_count", labels, so_far)


def _header(name: str, help_: str, kind: str) -> Iterable[str]:
    yield f"# HELP {name} {help_}"
    yield f"# TYPE {name} {kind}"


def _line(name: str, labels: Labels, value: float) -> str:
    told = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{told}}} {value}" if told else f"{name} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
