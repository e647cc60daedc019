"""Language models with LoRA and a graph, one file each."""
