"""The ablation matrix: rows and grids of overrides on one experiment, times seeds, with every stage computed once."""
