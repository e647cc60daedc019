"""Poolings, one file each: from hidden states to one vector."""
