"""Reports: saved scores to tables, plots and sentences. Each file is a form; all say the same.

A form offers `SUFFIX` and `render(results, analysis) -> str`, a pure function.
"""

from pathlib import Path
from types import ModuleType

from searchkit import catalog
from searchkit.errors import UnknownName


def form_of(path: Path) -> ModuleType:
    """The form that a file's suffix asks for.

    Raises:
        UnknownName: none has that suffix.
    """
    forms = [catalog.load(__name__, name) for name in catalog.names(__name__)]
    by_suffix = {str(form.SUFFIX): form for form in forms}
    if path.suffix not in by_suffix:
        raise UnknownName(
            f"no report has the form {path.suffix or path.name!r}; a file ends in "
            f"{', '.join(by_suffix)}"
        )
    return by_suffix[path.suffix]
