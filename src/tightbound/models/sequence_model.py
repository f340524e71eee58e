"""Deep latent-variable models of sequences, with the posterior that suits them, by name.

Krishnan, Shalit & Sontag 2017, arXiv 1609.09869 (deep Markov models); Chung et al. 2015, arXiv
1506.02216 (variational recurrent networks).
"""

import numpy as np
from jaxtyping import Float, PRNGKeyArray

from tightbound.core.errors import UsageError, at_least
from tightbound.core.names import SEQUENCE_MODELS, SEQUENCE_POSTERIORS, check_name
from tightbound.core.streams import as_key, streams
from tightbound.data import DataLike, Dataset, as_values, check_values
from tightbound.distributions import (
    DiagonalNormal,
    FamilyPrior,
    GatedNormal,
    Markov,
    Memory,
    RecurrentPosterior,
    RecurrentPrior,
    Structured,
)
from tightbound.likelihoods import AS_LEVELS, Standardized, Stepwise, Table, checked
from tightbound.models.model import Model
from tightbound.models.recurrent_model import RecurrentModel
from tightbound.models.visible import visible_law
from tightbound.networks import Body, Features


def sequence_model(
    data: Dataset | DataLike,
    *,
    kind: str = "deep_markov",
    latent: int = 16,
    hidden: int = 64,
    likelihood: str = "bernoulli",
    posterior: str = "st_r",
    activation: str = "relu",
    key: int | PRNGKeyArray = 0,
) -> tuple[Model, Structured | RecurrentPosterior]:
    """Builds a model p(x, z) of sequences and its posterior q(z|x).

    Items are sequences of shape (steps, d), all padded to one number of steps. A sequence ends at
    its last step with a known value: what comes behind is NaN, and no part of any number. Values
    and whole steps may be missing (NaN) before, too. All numbers are per sequence: log p(x) is that
    of all known values of one sequence, given where it ends, in nats.

    Args:
        data: A data set of items of shape (steps, d), or its training array (n, steps, d), NaN
            where values are missing.
        kind: "deep_markov": states z of shape (steps, latent), of which each is given the one
            before by the gated transition, and each step of x is given its state by a network with
            two hidden layers. The first state is a normal that is learned.
            "vrnn": each state and each step of x are given all values and states before, too, by
            one vector of `hidden` gated recurrent units; networks of the states have one hidden
            layer. The posterior has a memory of its own.
        latent: Numbers of a state.
        hidden: Units of every hidden layer and of the recurrent networks.
        likelihood: Of one step, by a name of `tightbound.likelihoods.likelihoods()` with its
            options if it has some. Under "gaussian" each column is standardised by the training
            data's mean and deviation, and log p(x) is in the data's units.
        posterior: Which steps q(z_t|z_{t-1}, x) sees, by recurrent networks: those from t on
            ("st_r", the form of the exact posterior), those up to t ("st_l", as a filter does), or
            all ("st_lr").
        activation: Of the network from a state to its step.
        key: Seed or key of the initialisation.

    Returns:
        `(model, posterior)`; z is an array of shape (steps, latent).

    Raises:
        UsageError: An unknown name, items of another shape, sizes below one, values that the
            likelihood is not for, a column without any value, or a likelihood of tables.
    """
    check_name("kind of sequence model", kind, SEQUENCE_MODELS)
    check_name("posterior of sequences", posterior, SEQUENCE_POSTERIORS)
    latent, hidden = at_least(1, latent=latent, hidden=hidden)
    call = checked(likelihood)
    if call.name in AS_LEVELS:
        raise UsageError(
            f"likelihood={call.name!r} is of a table's columns with levels, which sequences have "
            "not: expected one likelihood of numbers for all columns of a step"
        )
    steps, rows = _rows(data)
    prior_key, law_key, posterior_key = streams(
        as_key(key), "sequence_model.prior", "sequence_model.likelihood", "sequence_model.posterior"
    )
    beside = hidden if kind == "vrnn" else 0
    body = Body(latent + beside, (hidden, hidden), activation)
    try:
        visible = visible_law(call, body, Table(rows), law_key)
    except UsageError as error:
        raise UsageError(f"of the steps with a value, one behind the other: {error}") from error
    law = visible.law if visible.units is None else Standardized(visible.law, visible.units)
    likelihood_of_all = Stepwise(law, steps)
    masked = isinstance(visible.view, Features) and visible.view.masked
    seen = visible.seen + (0 if masked else rows.shape[1])
    sizes = seen, latent, hidden, visible.view
    if kind == "vrnn":
        memory, states = streams(prior_key, "sequence_model.memory", "sequence_model.states")
        law_of_state = DiagonalNormal.of(Body(hidden, (hidden,), activation), latent, key=states)
        prior = RecurrentPrior(steps, Memory.of(*sizes, memory), law_of_state)
        q = RecurrentPosterior.of(posterior, steps, *sizes, posterior_key)
        return RecurrentModel(prior, likelihood_of_all), q
    transition = GatedNormal.of(latent, hidden, key=prior_key)
    initial = FamilyPrior.learned(latent, "normal")
    prior = Markov(initial=initial, transition=transition, steps=steps)
    return Model(prior, likelihood_of_all), Structured.of(posterior, steps, *sizes, posterior_key)


def _rows(data: Dataset | DataLike) -> tuple[int, Float[np.ndarray, "rows d"]]:
    """The number of steps, and the steps of all sequences that have a value.

    Raises:
        UsageError: Items of another shape, or a column that is missing altogether.
    """
    of = data if isinstance(data, Dataset) else None
    x = as_values(data if of is None else of.train, "the training data").x
    item = x.shape[1:] if of is None else of.shape
    if len(item) != 2:
        raise UsageError(
            f"expected sequences of shape (steps, d), as an array (n, steps, d), got items of "
            f"shape {item}; a series of single numbers is one of shape (steps, 1)"
        )
    steps, d = item
    x = x.reshape(len(x), *item)
    check_values(x, "real", "the training data", holes=True, sequences=True)
    rows = x.reshape(-1, d)
    known = ~np.isnan(rows)
    empty = ~known.any(axis=0)
    if empty.any():
        raise UsageError(
            f"the training data: column {int(np.argmax(empty))} (counted from 0) of a step has no "
            "value at all: leave it out"
        )
    return steps, rows[known.any(axis=1)]
