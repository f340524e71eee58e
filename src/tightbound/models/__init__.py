"""Generative models: what is fitted and judged."""

from tightbound.models import problems as problems
from tightbound.models.autoencoder import autoencoder as autoencoder
from tightbound.models.bayesian import Bayesian as Bayesian
from tightbound.models.bayesian import bayesian as bayesian
from tightbound.models.bayesian import plug_in as plug_in
from tightbound.models.finite import bernoulli_mixture as bernoulli_mixture
from tightbound.models.finite import finite_autoencoder as finite_autoencoder
from tightbound.models.finite import gaussian_mixture as gaussian_mixture
from tightbound.models.foreign import from_log_joint as from_log_joint
from tightbound.models.linear_gaussian import linear_gaussian as linear_gaussian
from tightbound.models.linear_state_space import linear_state_space as linear_state_space
from tightbound.models.missingness import missingness as missingness
from tightbound.models.missingness import without_mask as without_mask
from tightbound.models.model import Model as Model
from tightbound.models.numpyro.target import NumPyroTarget as NumPyroTarget
from tightbound.models.numpyro.target import from_numpyro as from_numpyro
from tightbound.models.posteriors import posterior as posterior
from tightbound.models.restoration import restoration as restoration
from tightbound.models.sequence_model import sequence_model as sequence_model
from tightbound.models.simulators import simulate as simulate
from tightbound.models.simulators import simulated as simulated
from tightbound.models.simulators import simulator as simulator
from tightbound.models.source import source as source
from tightbound.models.table_mixture import table_component as table_component
from tightbound.models.target import Target as Target
