"""Readers of files, one format each: see `searchkit.corpus.reading`."""
