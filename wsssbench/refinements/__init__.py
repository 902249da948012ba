"""Refinements: from CAMs to better scores."""
