"""Files to documents; collections with queries and judgements."""
