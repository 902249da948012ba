"""The stages of an experiment, one file per verb."""
