"""The training loop that every model shares, and its parts."""
