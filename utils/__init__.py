"""File formats and small helpers that every stage uses."""
