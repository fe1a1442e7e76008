"""Recordings and texts in."""
