"""Generated scenes and their painter."""
