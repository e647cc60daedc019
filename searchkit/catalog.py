"""A folder of choices: each module in it is one choice, named after its file.

The folder is the registry. Listing it imports nothing, so `--help` stays instant and a heavy
library loads only when its choice is made.
"""

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

from searchkit.errors import UnknownName

_ROOT = Path(__file__).parent


def names(folder: str) -> list[str]:
    """The choices of a folder, in alphabetical order.

    Args:
        folder: dotted name of a package of searchkit, such as `searchkit.encode.pooling`.
    """
    path = _ROOT.joinpath(*folder.split(".")[1:])
    found = [module.name for module in pkgutil.iter_modules([str(path)])]
    return sorted(name for name in found if not name.startswith("_"))


def load(folder: str, name: str) -> ModuleType:
    """The module of one choice.

    Raises:
        UnknownName: the folder has no such choice.
    """
    known = names(folder)
    if name not in known:
        kind = folder.rsplit(".", 1)[-1]
        raise UnknownName(f"no {kind} is called {name!r}; there are: {', '.join(known)}")
    return importlib.import_module(f"{folder}.{name}")
