"""Acoustic models: phones to mel."""
