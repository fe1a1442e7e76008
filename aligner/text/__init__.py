"""Text to words, phones and tokens."""
