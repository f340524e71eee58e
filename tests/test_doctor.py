"""The doctor finds a right installation right, and a wrong one wrong."""

import numpy as np
import pytest

from tightbound import doctor
from tightbound.doctor import Check, compiler, numbers


@pytest.mark.parametrize(
    "check",
    [
        doctor.versions,
        doctor.sums_of_squares,
        doctor.precision,
        doctor.importance_sampling,
        pytest.param(doctor.annealing, marks=pytest.mark.slow),
        doctor.safetensors,
    ],
    ids=lambda check: check.__name__,
)
def test_what_is_installed_here_is_right(check):
    found = check()
    assert found.ok, found
    assert found.found


@pytest.mark.slow
def test_processes_of_their_own_say_what_they_found():
    found = doctor.products_of_rank_7()
    assert found.ok, found
    assert "largest relative error" in found.found


@pytest.mark.slow
def test_triangular_systems_come_to_an_end():
    found = doctor.triangular_systems()
    assert found.ok, found


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("1e-3", "largest relative error 1.0e-03"),
        ("nan", "largest relative error nan"),
    ],
)
def test_an_error_that_is_too_large_fails(expression, words, monkeypatch):
    monkeypatch.setattr(
        compiler, "subprocess", _Process(compiler.subprocess, f"error {expression}\n", 0)
    )
    found = doctor.products_of_rank_7()
    assert not found.ok
    assert words in found.found
    assert found.advice


class _Process:
    """In place of `subprocess`: a process that ends as it is told."""

    def __init__(self, real, stdout, returncode, *, hangs=False):
        self.TimeoutExpired = real.TimeoutExpired
        self._told, self._hangs = (stdout, returncode), hangs

    def run(self, command, *, timeout, **_):
        if self._hangs:
            raise self.TimeoutExpired(command, timeout)
        stdout, self.returncode = self._told
        self.stdout, self.stderr = stdout, "first\nRuntimeError: the last line\n"
        return self


@pytest.mark.parametrize(
    ("returncode", "hangs", "words"),
    [
        (-11, False, "killed by signal 11"),
        (1, False, "stopped: RuntimeError: the last line"),
        (0, True, "no answer within 120 seconds"),
    ],
)
def test_a_process_that_crashes_or_hangs_fails(returncode, hangs, words, monkeypatch):
    process = _Process(compiler.subprocess, "", returncode, hangs=hangs)
    monkeypatch.setattr(compiler, "subprocess", process)
    for check in (doctor.products_of_rank_7, doctor.triangular_systems):
        found = check()
        assert not found.ok
        assert found.found == words
        assert found.advice


def test_wrong_sums_are_found():
    def last_row_wrong(function):
        return lambda x, m: np.asarray(function(x, m)) * np.where(np.arange(len(x)) < 32_768, 1, 2)

    found = doctor.sums_of_squares(last_row_wrong)
    assert not found.ok
    assert "39103" in found.advice


def test_wrong_evidence_is_found(monkeypatch):
    right = numbers._linear_gaussian()
    monkeypatch.setattr(numbers, "_linear_gaussian", lambda: (*right[:3], right[3] + 0.2))
    assert not doctor.importance_sampling().ok


def test_known_versions_are_named():
    slow = doctor.versions("0.11.1")
    assert not slow.ok
    assert "quadratic" in slow.advice
    worked_around = doctor.versions("0.10.2")
    assert worked_around.ok
    assert "XLA_FLAGS" in worked_around.advice
    assert not doctor.versions("0.12.0").advice


def test_a_check_that_raises_has_failed_and_the_summary_counts_it():
    def broken():
        raise OSError("no such file")

    found = [doctor._answer("files", broken), Check("other", ok=True, found="right", advice="")]
    assert not found[0].ok
    assert doctor.summary(found) == (
        "FAIL files: OSError: no such file\nok   other: right\n1 of 2 checks failed"
    )
    assert doctor.summary(found[1:]).endswith("all well")
