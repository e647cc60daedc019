"""Lexical indexes, one file each."""
