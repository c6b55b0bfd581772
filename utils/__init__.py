"""Data contracts, files and logs."""
