"""Attention modes, one file each: which tokens a token may look at."""
