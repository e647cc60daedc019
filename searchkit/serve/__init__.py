"""The HTTP face: search, answers and a page, for people and programs."""
