"""Sequences of different lengths, from memory and from files; and the chorales."""

import hashlib
import json

import jax.numpy as jnp
import numpy as np
import pytest

import tightbound as tb
from tightbound import data
from tightbound.core.errors import UsageError

RAGGED = [[[1, 0], [0, 1], [1, 1]], [[0, 0]], [[1, None], [0, 1]]]
NAN = np.nan
PADDED = np.array(
    [[[1, 0], [0, 1], [1, 1]], [[0, 0], [NAN, NAN], [NAN, NAN]], [[1, NAN], [0, 1], [NAN, NAN]]]
)


def test_lists_and_arrays_of_different_lengths_are_padded_with_nan():
    np.testing.assert_array_equal(data.sequences(RAGGED), PADDED)
    arrays = [np.array(one, np.float32) for one in RAGGED]
    for of in (arrays, tuple(arrays), [jnp.asarray(one) for one in arrays]):
        found = data.sequences(of)
        np.testing.assert_array_equal(found, PADDED)
        assert found.dtype == np.float32
    assert data.sequences([[[1, 0]], [[0, 1]]]).shape == (2, 1, 2)
    whole = [np.array([[1, 0]]), np.array([[0, 1], [1, 1]])]
    assert data.sequences(whole).dtype == np.float64


def test_what_stands_behind_a_length_is_padding():
    x = np.arange(12).reshape(2, 3, 2)
    found = data.sequences(x, lengths=[3, 1])
    np.testing.assert_array_equal(found[0], x[0])
    np.testing.assert_array_equal(found[1], [[6, 7], [NAN, NAN], [NAN, NAN]])
    ds = data.load(np.tile(x, (6, 1, 1)) % 2, lengths=[3, 1] * 6)
    assert ds.shape == (3, 2)
    lengths = {part: [[3, 1][row % 2] for row in ds.rows[part]] for part in ds.rows}
    for part, expected in lengths.items():
        np.testing.assert_array_equal(ds.lengths(part), expected)
    assert ds.units == "binary"


@pytest.mark.parametrize(
    ("x", "words"),
    [
        ([[[1, 0], [1]], [[0, 0]]], r"sequence 0, step 1 .* has 1 columns, expected 2"),
        ([[[1, 0]], [[1], [1]]], r"sequence 1, step 0 .* has 1 columns, expected 2"),
        ([[[1, 0]], [[1, "a"], [1, 1]]], r"sequence 1, step 0, column 1 .* is 'a'"),
        ([[[1, 0]], [[1, 1], [1, 1e999]]], r"sequence 1, step 1, column 1 .* is 'inf'"),
        ([[[1, 0]], [[1, 1], 3]], r"sequence 1, step 1 .*: expected a list of numbers, got 3"),
        ([[[1, 0], [1, 1]], []], "sequence 1 .* has no step"),
        ([np.ones((2, 2)), np.ones(2)], r"sequence 1 .*shape \(steps, d\), got float64 of"),
        ([np.ones((2, 2)), np.full((1, 2), np.inf)], "sequence 1, step 0, column 0"),
        ([np.ones((2, 2)), np.ones((1, 3))], "sequence 1, step 0 .* has 3 columns"),
        (np.where(PADDED == 1, np.inf, PADDED), "sequence 0, step 0, column 0 .* is inf"),
        (PADDED[0], r"shape \(n, steps, d\), got \(3, 2\)"),
    ],
)
def test_what_is_no_sequence_is_refused_by_its_place(x, words):
    with pytest.raises(UsageError, match=words) as error:
        data.sequences(x)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("lengths", "words"),
    [
        ([3, 1], r"3 whole numbers, one for each sequence"),
        ([3.0, 1.0, 2.0], "whole numbers"),
        ([3, 4, 2], r"sequence 1 .*a length from 1 to 3, got 4"),
        ([0, 1, 1], r"sequence 0 .*a length from 1 to 3, got 0"),
    ],
)
def test_a_length_that_cannot_be_is_refused(lengths, words):
    with pytest.raises(UsageError, match=words):
        data.sequences(PADDED, lengths=lengths)
    with pytest.raises(UsageError, match="for sequences in memory"):
        data.load("digits", lengths=[1])


def test_json_holds_a_list_of_sequences_or_the_three_parts(tmp_path):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(RAGGED))
    found = data.load_items(path)
    assert found.shape == (3, 2)
    np.testing.assert_array_equal(found.x, PADDED.reshape(3, -1))
    path.write_text(json.dumps({"train": RAGGED[:1], "valid": RAGGED[1:2], "test": RAGGED[2:]}))
    ds = data.load(path)
    np.testing.assert_array_equal(ds.train, PADDED[:1].reshape(1, -1))
    np.testing.assert_array_equal(ds.test, PADDED[2:].reshape(1, -1))
    np.testing.assert_array_equal([ds.lengths(p)[0] for p in ds.rows], [3, 1, 2])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[[1, 0], [1]]]", r"x.json: sequence 0, step 1 .* has 1 columns"),
        ('{"train": [], "test": []}', "expected a list of sequences, or the keys train"),
        ('{"train": [[[1]]], "valid": [[["a"]]], "test": [[[1]]]}',
         r"x.json\[validation\]: sequence 0, step 0, column 0"),
        ('{"train": [[[1]]], "valid": 1, "test": [[[1]]]}', "got int under validation"),
        ("[1, 2]", "each a list of steps"),
        ("3", "each a list of steps"),
        ("[]", "at least one sequence"),
        ("[[[1, 0]", "damaged"),
        ("[" * 100_000, "damaged"),
    ],
)  # fmt: skip
def test_json_of_another_layout_is_refused_in_one_line(tmp_path, text, words):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=words) as error:
        data.load_items(path)
    assert "\n" not in str(error.value)


def test_a_model_takes_shorter_sequences_and_names_the_place_of_a_bad_value():
    model, _ = tb.sequence_model(PADDED, latent=1, hidden=2)
    source = tb.source(model, [one[:1] for one in RAGGED] + [RAGGED[2][:2]])
    np.testing.assert_array_equal(source.x[0, :1], PADDED[0, :1])
    assert np.isnan(source.x[:, 2]).all()
    assert source.x.shape == (4, 3, 2)
    with pytest.raises(UsageError, match="sequence 1, step 0, column 0 .* is -2"):
        tb.source(model, np.where(np.arange(3)[:, None, None] == 1, PADDED - 2, PADDED))
    with pytest.raises(UsageError, match=r"up to 3 steps of 2 columns, .* got items of shape \(4"):
        tb.source(model, np.zeros((2, 4, 2)))


CHORALES = {"train": [[[60, 64], [], [21]], [[108]]], "valid": [[[50]]], "test": [[[60], [61]]]}


def test_chorales_are_piano_rolls_that_end_in_nan(tmp_path, write_all, publish):
    content = json.dumps(CHORALES).encode()
    folder = write_all(tmp_path, {"jsb-chorales-quarter.json": content})
    with pytest.raises(UsageError, match="jsb"):
        data.load("jsb_chorales", path=folder)
    publish("jsb_chorales", {"digests": (hashlib.sha256(content).hexdigest(),)})
    ds = data.load("jsb_chorales", path=folder)
    assert (ds.shape, ds.units) == ((3, 88), "binary")
    assert ds.checksum == hashlib.sha256(content).hexdigest()
    x = ds.train.reshape(2, 3, 88)
    np.testing.assert_array_equal(np.argwhere(x[0] == 1), [[0, 39], [0, 43], [2, 0]])
    assert np.all(x[0, 1] == 0)  # a rest is a step
    assert x[1, 0, 87] == 1
    assert np.isnan(x[1, 1:]).all()
    np.testing.assert_array_equal(ds.lengths(), [3, 1])
    assert "4 / 1 / 2 steps" in ds.notes[0]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ({"train": [[[20]]]}, r"train\]: sequence 0, step 0 .* has the pitch 20"),
        ({"valid": [[[60], ["a"]]]}, r"valid\]: sequence 0, step 1 .* has the pitch 'a'"),
        ({"test": [[60]]}, r"sequence 0, step 0: expected a list, got 60"),
        ({"test": [[]]}, r"sequence 0 .* has no step"),
        ({"test": []}, "at least one sequence"),
        ({"more": []}, "expected the keys train, valid, test"),
    ],
)
def test_other_chorales_are_refused(tmp_path, write_all, damage, words):
    content = json.dumps({**CHORALES, **damage}).encode()
    folder = write_all(tmp_path, {"jsb-chorales-quarter.json": content})
    with pytest.raises(UsageError, match=words):
        data.load("jsb_chorales", path=folder, verify=False)


def test_real_chorales(real_data):
    real_data("jsb_chorales")
    ds = data.load("jsb_chorales", download=False)
    assert (len(ds.train), len(ds.validation), len(ds.test)) == (229, 76, 77)
    assert ds.shape == (160, 88)
    steps = [ds.lengths(part).sum() for part in ("train", "validation", "test")]
    assert steps == [13_807, 4_602, 4_725]
    assert "13,807 / 4,602 / 4,725" in ds.notes[0]
    data.check_values(ds.train, "binary", "train", holes=True)
