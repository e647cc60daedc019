"""`python -m searchkit` is `searchkit`."""

import sys

from searchkit.commands.app import main

sys.exit(main())
