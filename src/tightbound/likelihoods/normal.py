"""Normal likelihoods for real values, with means and scales by a network.

Kingma & Welling 2013, arXiv 1312.6114, appendix C.2.
"""

from tightbound.distributions import DiagonalNormal
from tightbound.likelihoods.gaussian import heteroscedastic
from tightbound.likelihoods.registry import Likelihood

LIKELIHOODS = {
    "gaussian": Likelihood(
        "real values, standardised inside; linear means and predicted log-variances",
        lambda body, train, key: DiagonalNormal.of(body, train.shape[1], key=key),
        standardised=True,
        univariate=heteroscedastic,
    ),
    "gaussian_unit_mean": Likelihood(
        "values in [0, 1]; means kept in (0, 1) by a sigmoid (AEVB's Frey faces)",
        lambda body, train, key: DiagonalNormal.of(body, train.shape[1], unit_mean=True, key=key),
    ),
}
