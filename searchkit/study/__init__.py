"""Designs trained alike, compared on the same sets, and the page that says what was found."""
