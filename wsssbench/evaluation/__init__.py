"""Scores: confusion matrices, thresholds, bootstrap, and anybody's files against masks."""
