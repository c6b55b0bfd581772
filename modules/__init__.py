"""Network and signal blocks: torch only, no files, no config objects."""
