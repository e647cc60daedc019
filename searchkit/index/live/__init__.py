"""An index that follows a folder: what is in it changes, and no reader of it notices half a change."""
