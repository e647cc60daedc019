"""Fusions of rankings, one file each."""
