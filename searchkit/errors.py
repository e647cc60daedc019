"""What a user can cause and can mend.

Every message is one line: what was wrong, what was found, what would be right, the next step.
"""


class SearchkitError(Exception):
    """Something the user can mend; the command line prints the message and exits with 1."""


class UnknownName(SearchkitError):
    """A name that no folder of choices, no index and no collection has."""


class BadInput(SearchkitError):
    """A file or an argument that does not hold what it must."""


class EmptyText(SearchkitError):
    """A text without a single token: it has no vector."""


class CorruptFile(SearchkitError):
    """A stored file whose bytes are not those that were written."""


class MissingExtra(SearchkitError):
    """A library that only an optional room needs is not installed."""


class NeedsTraining(SearchkitError):
    """A variant whose pooling has weights of its own, and none were trained."""


class BrokenPromise(SearchkitError):
    """A loaded language model that does not do what its variant says (attention, padding, EOS)."""


class TrainingFailed(SearchkitError):
    """A training run whose loss or gradient is no longer a finite number."""
