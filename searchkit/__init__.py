"""searchkit: search with language-model embedders, and find out which design retrieves best."""

__version__ = "0.1.0"
