"""Forms of an export, one file each: what a folder needs for a library besides the model itself."""
