"""Command-line programs: one a stage, each thin."""
