"""Rerankers, one file each: they read a query and a passage together, for the top of a ranking."""
