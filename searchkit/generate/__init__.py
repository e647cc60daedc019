"""Language models that write text, or tell how likely one is."""
