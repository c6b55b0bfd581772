"""The text front end: English text to phones."""
