"""Importance sampling with half of the draws; for a test that adds an estimator of evidence."""

from tightbound.evidence.estimator import estimator
from tightbound.evidence.evaluate import evaluate


def halved(model, posterior, x=None, *, k=100, **execution):
    """Log p(x) of each datum from k / 2 draws of q(z|x)."""
    return evaluate(model, posterior, x, k=k // 2, **execution)


Halved = estimator("Halved", halved, posterior="posterior")
