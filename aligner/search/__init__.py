"""Priors and speech to the frames of each token."""
