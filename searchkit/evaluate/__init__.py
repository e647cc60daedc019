"""Collections to runs, scores, tests and tables."""
