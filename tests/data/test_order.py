import jax
import numpy as np
import pytest
from scipy import stats

from tightbound.data.order import epoch_order, items_at

N, BATCH, PER_EPOCH = 23, 5, 4


def test_items_are_a_pure_function_of_key_and_step(getkey):
    key, other = getkey(), getkey()
    forwards = [np.asarray(items_at(key, step, N, BATCH)) for step in range(12)]
    backwards = [np.asarray(items_at(key, step, N, BATCH)) for step in reversed(range(12))]
    np.testing.assert_array_equal(forwards, backwards[::-1])
    assert not np.array_equal(forwards[0], items_at(other, 0, N, BATCH))


def test_steps_count_on_over_epochs(getkey):
    key = getkey()
    for epoch in range(3):
        order = epoch_order(key, epoch, N, BATCH)
        assert order.shape == (PER_EPOCH, BATCH)
        for within in range(PER_EPOCH):
            step = epoch * PER_EPOCH + within
            np.testing.assert_array_equal(items_at(key, step, N, BATCH), order[within])


def test_the_order_inside_a_compiled_epoch_is_the_same(getkey):
    key = getkey()
    compiled = jax.jit(lambda epoch: epoch_order(key, epoch, N, BATCH))
    np.testing.assert_array_equal(compiled(2), epoch_order(key, 2, N, BATCH))


@pytest.mark.parametrize(("n", "batch_size"), [(23, 5), (20, 5), (7, 7), (6, 1)])
def test_no_item_comes_twice_in_an_epoch(n, batch_size, getkey):
    key, epochs, left_out = getkey(), [], []
    for epoch in range(6):
        items = np.asarray(epoch_order(key, epoch, n, batch_size)).ravel()
        assert len(items) == n // batch_size * batch_size == len(set(items.tolist()))
        assert items.min() >= 0
        assert items.max() < n
        epochs.append(tuple(items))
        left_out.append(frozenset(range(n)) - set(items.tolist()))
    assert len(set(epochs)) == 6  # the chance that two of (6, 1) coincide is 15 / 720
    assert all(len(items) == n % batch_size for items in left_out)
    if n % batch_size:
        assert len(set(left_out)) > 1  # or some items would never be trained on


@pytest.mark.stat
def test_every_item_is_left_out_alike(getkey):
    """Chi-square over 3 of 23 items left out in 400 epochs; false alarms 1e-4."""
    key = getkey()
    orders = jax.jit(jax.vmap(lambda e: epoch_order(key, e, N, BATCH)))(np.arange(400))
    used = np.bincount(np.asarray(orders).ravel(), minlength=N)
    left = 400 - used
    assert left.sum() == 400 * 3
    # Without replacement within an epoch, the variance shrinks by (N - 3) / (N - 1).
    expected = 400 * 3 / N
    statistic = ((left - expected) ** 2 / expected).sum() * (N - 1) / (N - 3)
    assert stats.chi2(N - 1).sf(statistic) > 1e-4
