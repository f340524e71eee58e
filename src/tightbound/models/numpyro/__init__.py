"""NumPyro models as targets: their sites, and densities in unconstrained space."""
