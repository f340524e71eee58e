"""Generative models: what is fitted and judged."""

from tightbound.models.autoencoder import autoencoder as autoencoder
from tightbound.models.model import Model as Model
