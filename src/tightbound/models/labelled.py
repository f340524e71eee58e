"""Models of data and labels, of which most may be missing: M2, and M2 on top of M1.

Kingma, Rezende, Mohamed & Welling 2014, arXiv 1406.5298 (semi-supervised learning with deep
generative models).
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from tightbound.core.errors import UsageError, at_least
from tightbound.core.items import Datum, One, values
from tightbound.core.streams import as_key, first_keys, numbered, streams
from tightbound.data import DataLike, Dataset
from tightbound.distributions import (
    BottomLayer,
    LabelledPosterior,
    Layered,
    OfLabel,
    OverLabels,
)
from tightbound.models.autoencoder import autoencoder
from tightbound.models.model import Model
from tightbound.networks import Joined

OF_CLASSIFIER = ("hidden", "network", "likelihood", "activation", "initial")
"""Options that the classifier's network has in common with that of q(z|x, y)."""


def labelled(
    data: Dataset | DataLike, classes: int, *, key: int | PRNGKeyArray = 0, **options: Any
) -> tuple[Model, LabelledPosterior]:
    """Builds p(x, z) = p(z) sum_y p(y) p(x|z, y) and q(z|x) = sum_y q(y|x) q(z|x, y): M2.

    The label is summed over exactly, so that every estimator takes the pair as it takes any other;
    `objectives.m2` knows the labels that are known, `tb.tasks.classify` gives p(y|x). p(y) is
    learned, and begins even.

    Args:
        data: As for `tb.autoencoder`: what its networks see, and first means.
        classes: How many labels there are: whole numbers from 0.
        key: Seed or key of the initialisation.
        options: Those of `tb.autoencoder` for one stochastic layer, without `condition`, `encoder`
            and `decoder`. The classifier is a network of the same `hidden` widths.

    Returns:
        `(model, posterior)`, for data without conditions.

    Raises:
        UsageError: Fewer than two classes, several layers, or as for `tb.autoencoder`.
    """
    (classes,) = at_least(2, classes=classes)
    refused = {"condition", "encoder", "decoder", "layers"} & set(options)
    if refused:
        raise UsageError(
            f"a labelled model has one layer, and networks of its own: leave out "
            f"{', '.join(sorted(refused))}; others are made of tb.distributions.OverLabels and "
            "LabelledPosterior"
        )
    key, classifier_key = streams(as_key(key), "labelled.parts", "labelled.classifier")
    given, conditional = autoencoder(data, condition=classes, key=key, **options)
    alike = {name: options[name] for name in OF_CLASSIFIER if name in options}
    _, of_label = autoencoder(data, latent=classes, key=classifier_key, **alike)
    classifier = Joined(of_label.trunk, of_label.location)
    model = Model(given.prior, OverLabels(given.likelihood, jnp.zeros(classes)))
    return model, LabelledPosterior(
        classifier=classifier, conditional=conditional, components=classes
    )


def log_weights_by_label(
    model: Model, posterior: LabelledPosterior, x: One, key: PRNGKeyArray, k: int
) -> Float[Array, "classes k"]:
    """Log p(x, z|y) - log q(z|x, y) in nats of k draws of q(z|x, y), for each label y of a datum.

    The likelihood is an `OverLabels`; of missing values it is that of the others.
    """
    known = x.observed if isinstance(x, Datum) else None

    def of_label(label: Int[Array, ""]) -> Float[Array, " k"]:
        given = posterior.labelled(x, label)

        def log_w(key: PRNGKeyArray) -> Float[Array, ""]:
            z, log_q = posterior.conditional.sample_and_log_prob(given, key=key)
            log_lik = model.likelihood.log_prob_given(values(x), known, z, given.condition)
            return model.log_prior(x, z) + log_lik - log_q

        return jax.vmap(log_w)(first_keys(numbered(key, label), k))

    return jax.vmap(of_label)(jnp.arange(posterior.components))


def of_label(model: Model, label: int) -> Model:
    """p(x, z|y) of one label: draws of a class by `sample`, log p(x|y) by any estimator.

    Raises:
        UsageError: A model without labels, or a label that is none of its.
    """
    law = model.likelihood
    if not isinstance(law, OverLabels):
        raise UsageError(
            "expected a model with a label, as of tb.models.labelled, got one whose likelihood is "
            f"{type(law).__name__}"
        )
    if not 0 <= label < law.classes:
        raise UsageError(f"expected a label from 0 to {law.classes - 1}, got {label}")
    return Model(model.prior, OfLabel(law.conditional, label, law.classes))


def stacked(
    below: tuple[Model, Any], above: tuple[Model, LabelledPosterior]
) -> tuple[Model, Layered]:
    """M1+M2 as one model: p(x|z_1) p(z_1|z_2) p(z_2), in which p(z_1|z_2) sums over labels.

    Args:
        below: An autoencoder with one layer, M1, and its posterior.
        above: `labelled` on draws or means of its z_1, with a likelihood of real numbers.

    Returns:
        `(model, posterior)` with q(z_1|x) q(z_2|z_1), for evidence of both together.
    """
    (m1, q1), (m2, q2) = below, above
    prior = Layered((m2.prior, m2.likelihood), downwards=True)
    return Model(prior, BottomLayer(m1.likelihood)), Layered((q1, q2), downwards=False)
