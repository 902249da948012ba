"""One self-contained HTML page for runs and matrices."""
