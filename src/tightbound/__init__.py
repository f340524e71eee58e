"""Fits deep latent-variable models and says honestly how good the fit is."""
