"""What is known before anything is loaded is what there is."""

import inspect

import optax
import pytest
from tests.cases import CASES

import tightbound.objectives
from tightbound import data, distributions, likelihoods
from tightbound.core import names
from tightbound.core.calls import Call, signature
from tightbound.core.errors import UsageError
from tightbound.data import binarise
from tightbound.gradients.names import GRADIENTS, SHORT
from tightbound.models.autoencoder import NOISE_DRIVEN
from tightbound.models.latents import DISCRETE, FLOW, MIXTURE, VAMP
from tightbound.networks.dense import ACTIVATIONS
from tightbound.objectives.registry import all_objectives, make, parse
from tightbound.training.optimizers import by_name


def test_names_are_those_of_the_registries():
    assert set(names.gradients()) == set(GRADIENTS)
    assert set(names.SHORT_GRADIENTS) == set(SHORT)
    assert set(names.FAMILIES) == set(distributions.FAMILIES)
    assert set(names.PRIORS) == {*distributions.FAMILIES, DISCRETE, MIXTURE, VAMP}
    assert set(names.POSTERIORS) == {*distributions.FAMILIES, DISCRETE, FLOW, *NOISE_DRIVEN}
    assert set(likelihoods.likelihoods()) >= {"bernoulli", "gaussian", "gaussian_unit_mean"}
    assert set(names.likelihoods()) == set(likelihoods.likelihoods())
    # Families of one unit are likelihoods too; "normal" is "gaussian".
    assert set(names.FAMILIES) - set(names.likelihoods()) == {*names.JOINT, "normal"}
    assert set(names.ACTIVATIONS) == set(ACTIVATIONS)
    assert set(names.BINARISATIONS) == set(binarise.MODES)
    assert {entry.name: entry.splits for entry in data.names()} == names.splits()
    functions = inspect.getmembers(tightbound.objectives, inspect.isfunction)
    assert set(names.objectives()) == {name for name, _ in functions}


def test_other_words_lead_to_names():
    offered = {
        "likelihood": tuple(names.likelihoods()),
        "posterior": names.POSTERIORS,
        "prior": names.PRIORS,
        "network": names.NETWORKS,
        "gradient": tuple(names.gradients()),
        "objective": tuple(names.objectives()),
    }
    for kind, words in names.OTHER_WORDS.items():
        assert set(words.values()) <= set(offered[kind])
        for word, meant in words.items():
            with pytest.raises(UsageError, match=f"got '{word}'; did you mean {meant}"):
                names.check_name(kind, word, offered[kind])


@pytest.mark.filterwarnings("ignore:Specifying a key:UserWarning")
@pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")
def test_optimizers_are_those_that_can_be_made():
    for name in names.OPTIMIZERS:
        assert by_name(name, 0.1, batch_size=2)
    for name in {*dir(optax), *dir(optax.contrib)} - set(names.OPTIMIZERS):
        with pytest.raises(UsageError):
            by_name(name, 0.1, batch_size=2)


@pytest.mark.parametrize("name", names.objectives())
def test_signatures_read_from_source_are_those_of_the_functions(name):
    entry = all_objectives()[name]
    of = signature(names.objectives()[name].path, name)
    parameters = inspect.signature(entry.make).parameters
    assert list(of.kinds) == list(parameters)
    assert of.required == tuple(p.name for p in parameters.values() if p.default is p.empty)
    for argument, least in of.least.items():
        # The function itself refuses what the reading of it refuses.
        usual = next(case.options for case in CASES.values() if case.name == name)
        with pytest.raises(UsageError, match=f"expected {argument} >= {least}, got {least - 1}"):
            entry.make(**usual | {argument: least - 1})


@pytest.mark.parametrize("case", [case for case in CASES.values() if case.named])
def test_every_case_passes_the_checks_as_text_or_values(case):
    assert make(Call(case.name, (), case.options)) == case.objective
    assert parse(case.objective.description).description == case.objective.description


def test_a_name_alone_stands_for_the_usual_arguments():
    assert parse("iwae") == parse("iwae(k=50, gradient='dreg')")
    assert parse("elbo") == parse("elbo(gradient='dreg')")
    assert parse("exact") == parse("exact()")
    assert names.objective_call("elbo", {"estimator": "B"}).options == {"estimator": "B"}
