"""Engines, one file each: ways to run a language model over token batches."""
