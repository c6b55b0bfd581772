"""Words -> phones."""
