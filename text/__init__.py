"""Text to phones."""
