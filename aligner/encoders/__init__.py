"""Tokens to priors."""
