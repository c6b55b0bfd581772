"""The schema of exp_config.json and its strict loader."""
