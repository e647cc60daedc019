"""Runs searchkit from a checkout: `python cli.py` is `searchkit`."""

import sys

from searchkit.commands.app import main

if __name__ == "__main__":
    sys.exit(main())
