"""Readers of files, one format each.

A reader offers:

    SUFFIXES  endings of names in lower case, such as ".md", and whole names, such as "makefile"
    TEXT      whether such a file is text, so that binary data of that name is something else
    TRUSTED   whether a small one may be read in the caller's own process: Python alone decodes it,
              in time that grows with its length and no faster
    read      (path) -> Iterator[Extracted]; raises Unreadable, Encrypted, OSError

`searchkit.corpus.reading` picks the reader, limits it, and tells the language of what it finds.
"""
