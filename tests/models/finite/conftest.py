import jax
import pytest


@pytest.fixture(autouse=True, scope="module")
def _quick_to_compile():
    """The programs are small: compiling them takes most of the time."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
