"""What an agent can do, one file each.

A file offers `TITLE`, `DESCRIPTION` (when to use it, what it returns: for the model that decides),
`Asked` and `Found`, the models of its arguments and of its answer, `run(shelf, asked)`, and
`written(found)`, the answer as a text.
"""
