"""The taxonomy of Huszar (2017), executed: which parts may be implicit for which objective."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.objectives.implicit.toys import explicit, implicit, model
from tests.pages import shown

import tightbound as tb
from tightbound.distributions import FromSimulator
from tightbound.models import restoration
from tightbound.objectives import Params
from tightbound.objectives.compatibility_tables import needs
from tightbound.objectives.registry import build

SIMULATED = {
    "prior": FromSimulator(lambda _, key: jax.random.normal(key, (2,))),
    "likelihood": FromSimulator(lambda z, key: z + jax.random.normal(key, (2,))),
}
# May prior, likelihood and posterior be implicit, each by itself?
MAY_BE_IMPLICIT = {
    "elbo": (False, False, False),
    "iwae": (False, False, False),
    "pc_adv": (True, False, True),
    "pc_den": (False, False, True),
    "jc_adv": (True, True, True),
    "jc_den": (True, True, True),
    "jc_adv_rmd": (True, True, True),
    "ali": (True, True, True),
    "opvi": (False, False, True),
    "hybrid": (False, True, True),
}
OPTIONS = {"iwae": {"k": 2}}


def parts(*slots):
    """Explicit parts, with those slots known by draws alone."""
    both = model()
    prior, likelihood = (
        SIMULATED[slot] if slot in slots else getattr(both, slot) for slot in SIMULATED
    )
    return Params(tb.Model(prior, likelihood), implicit() if "posterior" in slots else explicit())


@pytest.mark.parametrize("name", MAY_BE_IMPLICIT)
def test_each_slot_may_be_implicit_where_the_table_says_so(name):
    objective = build(name, **OPTIONS.get(name, {}))
    objective.check(parts())
    for slot, allowed in zip(
        ("prior", "likelihood", "posterior"), MAY_BE_IMPLICIT[name], strict=True
    ):
        if allowed:
            objective.check(parts(slot))
        else:
            with pytest.raises(tb.UsageError, match=f"{name}.* needs .* of the {slot}"):
                objective.check(parts(slot))


def test_options_move_the_line():
    build("pc_den", prior="denoiser").check(parts("prior", "posterior"))
    with pytest.raises(tb.UsageError, match="needs the density of the prior"):
        build("pc_adv", contrast="adaptive").check(parts("prior", "posterior"))
    build("hybrid", posterior="classifier").check(parts("prior", "likelihood", "posterior"))


def test_the_error_names_what_would_work_instead():
    everything = parts("prior", "likelihood", "posterior")
    with pytest.raises(tb.UsageError) as caught:
        tb.fit(*everything, np.zeros((4, 2), np.float32), objective=build("iwae", k=2))
    text = str(caught.value)
    assert "what works with these parts: ali, amortized_map, jc_adv, jc_adv_rmd, jc_den" in text
    assert "pc_adv" not in text


def test_a_target_without_a_prior_can_be_fitted_by_an_adaptive_contrast_alone():
    target = tb.Target(lambda z: -jnp.sum(z**2), 2)
    q = tb.posterior(target, "implicit", hidden=(4,))
    with pytest.raises(tb.UsageError, match="needs draws of the prior"):
        tb.fit(target, q, objective=build("pc_adv"), steps=1)
    for name, options in (("pc_adv", {"contrast": "adaptive"}), ("pc_den", {}), ("opvi", {})):
        build(name, **options).check(Params(target, q))


def test_a_restoration_is_for_amortized_map():
    built = restoration(np.eye(4, dtype=np.float32), np.ones((1, 4), np.float32))
    build("amortized_map").check(Params(*built))


def test_the_page_holds_the_taxonomy():
    page = Path(__file__).parents[3] / "docs" / "implicit.md"
    assert shown(needs(), page) in page.read_text(), f"docs/implicit.md should hold:\n{needs()}"
