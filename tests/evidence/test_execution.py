"""Execution settings: the same ones everywhere, each function says which it takes, and no other."""

import dataclasses
import inspect
import re

import numpy as np
import pytest

import tightbound as tb
from tests.oracles import linear_gaussian
from tightbound.core.errors import UsageError
from tightbound.evidence.execution import NAMES, Execution

MODEL = linear_gaussian.one_layer_model()
X = np.zeros((3, 4), np.float32)


FUNCTIONS = {
    name: of
    for name, of in (vars(tb.evidence) | vars(tb.diagnostics)).items()
    if inspect.isfunction(of) and "execution" in inspect.signature(of).parameters
}


def test_they_are_found():
    assert {"evaluate", "annealed", "exact", "sandwich", "inference_gap", "to_arviz"} < {*FUNCTIONS}


def test_each_of_them_is_said_once():
    fields = [field.name for field in dataclasses.fields(Execution) if field.init]
    assert tuple(fields) == NAMES
    described = inspect.getdoc(Execution).split("Attributes:")[1]
    assert tuple(re.findall(r"(?m)^ {4}(\w+): ", described)) == NAMES


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_says_which_it_takes_before_anything_else(name, monkeypatch):
    seen = {}

    def of(function, given, *, without=()):
        seen.update(function=function.__name__, given=given, without=without)
        raise InterruptedError

    monkeypatch.setattr(Execution, "of", of)
    function = inspect.unwrap(FUNCTIONS[name])
    required = inspect.signature(function).parameters.values()
    empty = {p.name: None for p in required if p.default is p.empty and p.name != "execution"}
    with pytest.raises(InterruptedError):
        function(**empty, key=3)
    assert (seen["function"], seen["given"]) == (name, {"key": 3})
    said = inspect.getdoc(function).split("execution: ")[1].split("\n\n")[0]
    assert "`tb.evidence.Execution`" in said
    assert {setting for setting in NAMES if f"`{setting}`" in said} == {*NAMES} - {*seen["without"]}


def test_wrong_ones_are_refused_in_words():
    with pytest.raises(UsageError, match=r"setting of evaluate .* 'bacth_size'.*batch_size"):
        tb.evaluate(MODEL, MODEL.prior, X, bacth_size=3)
    with pytest.raises(UsageError, match=r"setting of annealed .* 'temprature'.*temperatures"):
        tb.evidence.annealed(MODEL, X, temprature=3)
    with pytest.raises(UsageError, match="jackknife has no chunk=: leave it out"):
        tb.evidence.jackknife(MODEL, MODEL.prior, X, chunk=3)
    with pytest.raises(UsageError, match="exact has no resume=: leave it out"):
        tb.evidence.exact(MODEL, X, resume="part.npz")
    with pytest.raises(UsageError, match="reverse_annealed has no binarize="):
        tb.evidence.reverse_annealed(MODEL, X, X, binarize="none")
    with pytest.raises(UsageError, match="expected batch_size >= 1, got 0"):
        tb.evaluate(MODEL, MODEL.prior, X, batch_size=0)
    assert Execution.of(tb.evidence.exact, {"resume": None}, without=("resume",)).resume is None
