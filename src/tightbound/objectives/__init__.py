"""Objectives: what `fit` follows. Each call returns an object for `tb.fit(objective=...)`."""

from tightbound.objectives.abstract import AbstractObjective as AbstractObjective
from tightbound.objectives.abstract import Parts as Parts
from tightbound.objectives.abstract import Step as Step
from tightbound.objectives.elbo import elbo as elbo
from tightbound.objectives.exact import exact as exact
from tightbound.objectives.iwae import iwae as iwae
