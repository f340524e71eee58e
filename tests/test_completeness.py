"""Every bound, gradient and objective has a case, and says where it is from and how it errs."""

import dataclasses
import importlib
import inspect
import pkgutil
import sys

import equinox as eqx
import pytest

import tightbound.bounds
import tightbound.gradients
import tightbound.objectives
from tests.cases import CASES
from tightbound.bounds import AbstractBound
from tightbound.gradients import AbstractGradient
from tightbound.objectives import AbstractObjective
from tightbound.objectives.registry import all_objectives

PACKAGES = {
    AbstractBound: tightbound.bounds,
    AbstractGradient: tightbound.gradients,
    AbstractObjective: tightbound.objectives,
}


def final_classes():
    """All classes of the three kinds that can be built, wherever in their package they stand."""
    found = []
    for base, package in PACKAGES.items():
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(info.name)
            for _, kind in inspect.getmembers(module, inspect.isclass):
                here = kind.__module__ == info.name
                if here and issubclass(kind, base) and not inspect.isabstract(kind):
                    found.append(kind)
    return found


def kinds_within(module):
    """The class of a module, and those of the modules in its fields."""
    kinds = {type(module)}
    for field in dataclasses.fields(module):
        value = getattr(module, field.name)
        if isinstance(value, eqx.Module):
            kinds |= kinds_within(value)
    return kinds


CLASSES = final_classes()
FUNCTIONS = inspect.getmembers(tightbound.objectives, inspect.isfunction)


def test_discovery_finds_what_there_is():
    names = {kind.__name__ for kind in CLASSES}
    assert {"ELBO", "IWAE", "Multisample", "AnalyticKL"} <= names
    assert {"Reparameterized", "StickingTheLanding", "DoublyReparameterized"} <= names
    assert {name for name, _ in FUNCTIONS} >= {"elbo", "iwae"}


@pytest.mark.parametrize("kind", CLASSES)
def test_every_class_has_a_case(kind):
    assert kind in set().union(*(kinds_within(case.objective) for case in CASES.values()))


@pytest.mark.parametrize(("name", "make"), FUNCTIONS)
def test_every_objective_has_a_case_and_stands_in_the_catalogue(name, make):
    assert any(case.name == name for case in CASES.values())
    entry = all_objectives()[name]
    assert entry.make is make
    if entry.about.requires is not None:  # None for what is made of others
        assert entry.example().requires == entry.about.requires
    assert entry.bias
    assert entry.reference
    assert entry.formula
    assert entry.direction
    assert entry.summary


def test_the_catalogue_holds_nothing_else():
    assert set(all_objectives()) == {name for name, _ in FUNCTIONS}


@pytest.mark.parametrize("described", [*CLASSES, *(make for _, make in FUNCTIONS)])
def test_modules_say_where_it_is_from_and_how_it_errs(described):
    doc = sys.modules[described.__module__].__doc__ or ""
    assert "\nReference: " in doc
    assert "\nBias: " in doc


def test_every_gradient_can_be_named():
    from tightbound.gradients import by_name
    from tightbound.gradients.names import GRADIENTS, SHORT

    kinds = set()
    for name in [*GRADIENTS, *SHORT]:
        kinds |= kinds_within(by_name(name))
    assert kinds == {kind for kind in CLASSES if issubclass(kind, AbstractGradient)}
    for name in GRADIENTS:
        assert by_name(name).name == name
        assert by_name(f"{name}@3").name == f"{name}@3"
    assert by_name("dreg@8") == by_name("doubly_reparameterized@8")
