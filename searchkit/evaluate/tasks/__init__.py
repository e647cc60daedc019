"""Kinds of evaluation task, one file each."""
