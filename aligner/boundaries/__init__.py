"""Frames to seconds."""
