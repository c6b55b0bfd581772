"""Building blocks of networks and signal processing: only torch, no files, no config objects."""
