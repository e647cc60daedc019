"""Questions answered with evidence: sentences or generated text, every quotation checked."""
