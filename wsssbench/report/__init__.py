"""Results for people: tables and the HTML report."""
