"""Adversarial and denoising terms together: each score exact, by a denoiser or by a classifier.

Formula: log p(x|z) + log p(z) - log q(z|x), each term known, a score, or a classifier's logit
Direction: none (the learned terms have errors of either sign, and scores have no value).
Reference: Huszar 2017, arXiv 1702.08235: the gradient for q needs d/dz of a log-ratio alone, from
whichever source there is for each part of it.
Bias: those of `pc_adv` and `pc_den` for the parts that are learned.
"""

from tightbound.adjoints import FirstOrder
from tightbound.core.errors import UsageError
from tightbound.objectives.contract import About, Requires
from tightbound.objectives.implicit.nested import Nested, Noise, called
from tightbound.objectives.implicit.terms import AbstractTerm, Denoiser, Exact, Ratio

WAYS = {
    "posterior": ("denoiser", "classifier"),
    "prior": ("exact", "denoiser"),
    "likelihood": ("exact", "classifier"),
}

ABOUT = About(requires=Requires(("samples", "score"), ("samples",), ("samples",), learns=False))


def hybrid(
    posterior: str = "denoiser",
    prior: str = "exact",
    likelihood: str = "classifier",
    inner: int = 5,
    rate: float = 1e-3,
    hidden: tuple[int, ...] = (128, 128),
    sigma: float | tuple[float, float, int] = 0.2,
) -> Nested:
    """Any combination of exact, adversarial and denoising parts; nats, no bound.

    Args:
        posterior: log q by a "denoiser", or by a "classifier" against the prior, which then
            stands for the prior's part too.
        prior: log p(z) "exact", or by a "denoiser"; not used with a classifier for q.
        likelihood: log p(x|z) "exact", or by a "classifier" between the model's pairs (x, z) and
            pairs that do not belong together: for simulators with a known prior.
        inner: Steps of what is learned for each step of q.
        rate: Learning rate of what is learned (Adam with beta_1 = 0.5).
        hidden: Widths of the hidden layers.
        sigma: Noise of the denoisers in units of q's standard deviations, or (start, end, epochs).

    Raises:
        UsageError: Another way with a part, or numbers outside their range.
    """
    options = {"posterior": posterior, "prior": prior, "likelihood": likelihood}
    for name, way in options.items():
        if way not in WAYS[name]:
            raise UsageError(f"expected {name} out of {', '.join(WAYS[name])}, got {way!r}")
    call = called("hybrid", **options, inner=inner, rate=rate, hidden=tuple(hidden), sigma=sigma)
    noise = Noise.of(sigma, "sigma", zero=False)
    hidden, now, none = tuple(hidden), noise.at(0), Noise(0.0, 0.0, 1)
    terms: list[AbstractTerm] = []
    if posterior == "denoiser":
        terms.append(Denoiser("q", -1.0, hidden, now))
        terms.append(Exact("prior") if prior == "exact" else Denoiser("prior", 1.0, hidden, now))
        of_prior = ("score",) if prior == "exact" else ("samples",)
    else:
        terms.append(Ratio("q", "prior", -1.0, hidden, none.at(0)))
        of_prior, noise = ("samples",), none
    of_likelihood = ("density",)
    if likelihood == "exact":
        terms.append(Exact("likelihood"))
    else:
        terms.append(Ratio("joint", "independent", 1.0, hidden, none.at(0)))
        of_prior, of_likelihood = tuple(dict.fromkeys(("samples", *of_prior))), ("samples",)
    needs = Requires(of_prior, of_likelihood, ("samples",), learns=likelihood == "exact")
    return Nested(call, tuple(terms), FirstOrder(inner), needs, rate, hidden, noise)
