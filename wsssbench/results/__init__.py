"""What runs and sweeps say, as values, and the tables made of them."""
