"""The full-screen view: what is typed is searched, read, compared and judged."""
