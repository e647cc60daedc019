"""An index that follows a folder; whoever reads it never sees half a change."""
