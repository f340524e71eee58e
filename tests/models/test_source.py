"""The one object that data are: made once, read in one place, with labels that stay with rows."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.oracles import linear_gaussian as oracle

import tightbound as tb
from tightbound.core.errors import UsageError
from tightbound.data import Source
from tightbound.data.binarise import evaluated_key
from tightbound.objectives import AbstractObjective, Step

X = np.random.default_rng(0).random((12, 4)).astype(np.float32)
LABELS = np.arange(12) % 5 - 1


def grey():
    return tb.autoencoder(X, latent=1, hidden=(2,))


def linear():
    model = oracle.one_layer_model()
    return model, oracle.exact_posterior(model)


class Keeps(AbstractObjective):
    """Keeps the label, condition and first value that it saw of each row, and how often."""

    conditions: bool = eqx.field(static=True, default=False)

    @property
    def kind(self):
        return "none"

    @property
    def description(self):
        return "keeps()"

    @property
    def holes(self):
        return True

    def check(self, parts):
        del parts

    def init(self, parts, n, key):
        del parts, key
        return {"label": jnp.full(n, -7), "x": jnp.zeros(n), "seen": jnp.zeros(n, int),
                "wrong": jnp.zeros([], int), "condition": jnp.zeros((n, 3))}  # fmt: skip

    def step(self, parts, state, items, keys):
        rows, before = items.rows, state["label"][items.rows]
        changed = (before != -7) & (before != items.label)
        state = {
            "label": state["label"].at[rows].set(items.label),
            "x": state["x"].at[rows].set(items.x[:, 0]),
            "seen": state["seen"].at[rows].add(1),
            "wrong": state["wrong"] + jnp.sum(changed),
            "condition": state["condition"].at[rows].set(items.condition)
            if self.conditions
            else state["condition"],
        }
        grads = jax.tree.map(jnp.zeros_like, eqx.filter(parts, eqx.is_inexact_array))
        return Step(grads, self.bound(parts, state, items, keys)), state

    def bound(self, parts, state, items, keys):
        # The mean over validation data is that of their own labels.
        return jnp.astype(items.label, jnp.float32)


def check(state):
    np.testing.assert_array_equal(state["label"], LABELS)
    np.testing.assert_array_equal(state["x"], np.nan_to_num(X[:, 0]))
    assert not state["wrong"]


def test_every_row_keeps_its_label_in_every_epoch_and_replica():
    model, posterior = linear()
    data = tb.source(model, X, labels=LABELS)
    others = tb.source(model, X[:5], labels=[3, 3, 3, -1, 2])
    call = {"objective": Keeps(), "batch_size": 4, "validation": others}
    run = tb.fit(model, posterior, data, seeds=2, epochs=3, build=lambda key: linear(), **call)
    for state in run.objective_states:
        check(state)
        np.testing.assert_array_equal(state["seen"], 3)
    assert [record.validation_bound for record in run.history] == [[2.0, 2.0]] * 3
    assert [record.train_bound for record in run.history] == [[np.mean(LABELS)] * 2] * 3


def test_labels_and_conditions_stay_with_their_rows_through_a_resumed_fit(tmp_path):
    from tests.models.test_conditions import linear as conditional

    model, posterior = conditional()
    c = np.random.default_rng(1).normal(size=(12, 3)).astype(np.float32)
    x = X.copy()
    x[2, 1:] = np.nan
    call = {"objective": Keeps(conditions=True), "batch_size": 5, "key": 3}

    def fitted(epochs, labels=LABELS, conditions=c, **more):
        data = tb.source(model, x, labels=labels, conditions=conditions)
        return tb.fit(model, posterior, data, epochs=epochs, **call, **more)

    whole = fitted(4).objective_states[0]
    fitted(2, directory=tmp_path)
    resumed = fitted(4, directory=tmp_path, resume=True).objective_states[0]
    for state in (whole, resumed):
        check(state)
        np.testing.assert_array_equal(state["condition"], c)
    np.testing.assert_array_equal(whole["seen"], resumed["seen"])
    for other in ({"labels": LABELS[::-1]}, {"conditions": c[::-1]}, {"labels": None}):
        with pytest.raises(UsageError, match="checkpoint of another run: training data was 12"):
            fitted(4, directory=tmp_path, resume=True, **other)


@pytest.mark.slow
def test_a_source_is_worth_what_its_array_is():
    model, posterior = grey()
    data = tb.source(model, X)
    call = {"objective": "iwae(k=2)", "batch_size": 6, "epochs": 2, "seeds": 2}
    runs = [
        tb.fit(model, posterior, x, validation=x, **call)
        for x in (X, data, tb.source(model, X, labels=LABELS))
    ]
    for run in runs[1:]:
        assert [r[:4] for r in run.history] == [r[:4] for r in runs[0].history]
        pairs = zip(jax.tree.leaves(run.replicas), jax.tree.leaves(runs[0].replicas), strict=True)
        assert all(np.array_equal(*pair) for pair in pairs)
    for by in (None, tb.evidence.AIS(temperatures=3, chains=2)):
        found = [tb.evaluate(model, posterior, x, by=by, key=1).log_evidence for x in (X, data)]
        np.testing.assert_array_equal(*found)


def test_what_is_evaluated_is_what_a_picture_shows():
    model, posterior = grey()
    data = tb.source(model, X)
    shown = data.seen(key=evaluated_key(4)).x
    assert set(np.unique(shown)) == {0.0, 1.0}
    binary = tb.evaluate(model, posterior, np.asarray(shown), k=3, key=4)
    found = tb.evaluate(model, posterior, data, k=3, key=4)
    np.testing.assert_array_equal(binary.log_evidence, found.log_evidence)
    some = data.seen(np.array([7, 2]), key=evaluated_key(4)).x
    np.testing.assert_array_equal(some, shown[np.array([7, 2])])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_an_array_in_a_file_is_read_batch_by_batch(tmp_path, dtype):
    model, posterior = linear()
    x = (8 * X).astype(dtype)
    path = tmp_path / "x.npy"
    np.save(path, x)
    data = tb.source(model, Watched(np.load(path, mmap_mode="r")))
    data = Source(Watched(data.x), data.support, data.binarisation)
    found = tb.evaluate(model, posterior, data, k=3, batch_size=4)
    expected = tb.evaluate(model, posterior, x, k=3, batch_size=4)
    np.testing.assert_array_equal(found.log_evidence, expected.log_evidence)
    assert max(data.x.asked) == 4


def test_an_array_in_a_file_is_not_copied(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, X)
    mapped = np.load(path, mmap_mode="r")
    assert np.shares_memory(tb.source(linear()[0], mapped).x, mapped)


class Watched(np.ndarray):
    """An array that knows how many rows were asked for at a time."""

    def __new__(cls, x):
        return np.asarray(x).view(cls)

    def __array_finalize__(self, of):
        self.asked = getattr(of, "asked", [])

    def __getitem__(self, rows):
        found = np.asarray(self)[rows]
        self.asked.append(len(found))
        return found


def test_a_source_knows_what_it_holds():
    model, _ = linear()
    plain = tb.source(model, X)
    assert len(plain) == 12
    assert plain.size == 4
    c = np.zeros((12, 1), np.float32)
    digests = {
        plain.digest,
        tb.source(model, X, labels=LABELS).digest,
        tb.source(model, X, labels=LABELS + 1).digest,
        tb.source(model, np.where(X == X[3, 2], np.nan, X)).digest,
        Source(X, "real", plain.binarisation, 0, None, c).digest,
        Source(X, "real", plain.binarisation, 0, None, c + 1).digest,
    }
    assert len(digests) == 6
    assert tb.source(model, X.tolist()).digest == plain.digest


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([0.0, 2.0, np.nan] * 4, [0, 2, -1] * 4),
        (np.array([True, False] * 6), [1, 0] * 6),
        (np.arange(12, dtype=np.uint8)[:, None], np.arange(12)),
    ],
)
def test_labels_of_any_type_are_whole_numbers(labels, expected):
    items = tb.source(linear()[0], X, labels=labels).items()
    np.testing.assert_array_equal(items.label, expected)
    assert items.label.dtype == jnp.int32


def test_labels_of_a_frame_are_taken():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"y": pandas.array([0, 1, None] * 4, dtype="Int64")})
    items = tb.source(linear()[0], X, labels=frame["y"]).items()
    np.testing.assert_array_equal(items.label, [0, 1, -1] * 4)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (LABELS[:11], r"expected 12, one for each datum, got an array of shape \(11,\)"),
        (np.eye(12), r"expected 12, one for each datum, got an array of shape \(12, 12\)"),
        (LABELS + 0.5, r"row 0 \(counted from 0\) is -0.5, expected a whole number"),
        (LABELS - 1, r"row 0 \(counted from 0\) is -2, expected a whole number from 0, or -1"),
        (np.full(12, 2.0**31), "expected a whole number"),
        (["cat"] * 12, "the labels: "),
        (3, "the labels: "),
    ],
)
def test_labels_that_are_none_are_refused(labels, words):
    with pytest.raises(UsageError, match=words):
        tb.source(linear()[0], X, labels=labels)


def test_a_source_is_for_models_like_its_own():
    model, posterior = linear()
    data = tb.source(grey()[0], X, binarize="fixed")
    with pytest.raises(UsageError, match=r"source was made for items of shape \(4,\) that are bin"):
        tb.evaluate(model, posterior, data)
    with pytest.raises(UsageError, match="binarize='dynamic' comes too late for a source"):
        tb.evaluate(*grey(), data, binarize="dynamic")
    same = [tb.evaluate(*grey(), data, k=2, binarize=b).log_evidence for b in ("auto", "fixed:0")]
    np.testing.assert_array_equal(*same)
    with pytest.raises(UsageError, match="expected data to make a source of, got one"):
        tb.source(model, data)
    with pytest.raises(UsageError, match="a Target has no data"):
        tb.source(tb.Target(lambda z: -jnp.sum(z**2), 2), X)
