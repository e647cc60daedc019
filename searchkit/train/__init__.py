"""Training: pairs of texts, a loss, a loop; what comes out is an adapter and pooling weights."""
