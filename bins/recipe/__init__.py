"""The command line and the stages of a recipe."""
