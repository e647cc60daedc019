"""Texts to vectors: base model, attention mode, pooling."""
