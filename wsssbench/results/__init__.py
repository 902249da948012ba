"""The results of runs and sweeps, as values, and the tables that show them."""
