"""Folders of documents: brought into step with their index, searched, looked after."""
