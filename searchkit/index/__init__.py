"""Vectors or texts to something searchable, in a directory."""
