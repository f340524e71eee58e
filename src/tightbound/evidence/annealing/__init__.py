"""Annealed importance sampling, forwards and in reverse, and HMC's density."""
