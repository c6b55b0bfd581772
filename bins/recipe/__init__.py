"""What a run.sh starts: a recipe's command line and its stages."""
