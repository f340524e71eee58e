"""Evidence by default settings, on densities whose integral is known."""
