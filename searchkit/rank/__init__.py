"""Hits to hits; knows no index."""
