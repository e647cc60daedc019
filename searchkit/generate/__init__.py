"""Language models that answer: conversations to text, and how likely a text is."""
