"""Where embedder, index and ranking meet."""
