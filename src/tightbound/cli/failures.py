"""What went wrong, in one line on standard error, and the exit status."""

import os
import sys

from tightbound.cli.output import visible
from tightbound.core.errors import Interrupted, NonFiniteError, UsageError
from tightbound.core.files import why


def told(error: BaseException) -> int:
    """Says what a user can mend and returns the exit status; other errors are raised again."""
    if isinstance(error, BrokenPipeError):
        # Whoever read our output has gone. Python would say so again when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if isinstance(error, Interrupted):
        return _say(str(error), 130)
    if isinstance(error, KeyboardInterrupt):
        return _say("interrupted; nothing was changed", 130)
    if isinstance(error, UsageError):
        return _say(str(error), 2)
    if isinstance(error, NonFiniteError):
        return _say(str(error), 1)
    if isinstance(error, OSError):
        return _say(of_system(error), 2)
    if _out_of_memory(error):
        return _say(
            "out of memory: lower --batch-size, --k or the sizes of the model, or use a machine "
            "with more memory",
            2,
        )
    raise error


def of_system(error: OSError) -> str:
    """What failed on which path, and what to do."""
    places = [str(place) for place in (error.filename, error.filename2) if place is not None]
    where = f"cannot use {' -> '.join(places)}: " if places else ""
    return f"{where}{why(error)}"


def _out_of_memory(error: BaseException) -> bool:
    """Python's error, or XLA's, whose class cannot be named without loading JAX."""
    return isinstance(error, MemoryError) or (
        type(error).__name__ in ("JaxRuntimeError", "XlaRuntimeError")
        and "RESOURCE_EXHAUSTED" in str(error)
    )


def _say(text: str, status: int) -> int:
    print(f"tightbound: {visible(' '.join(text.split()))}", file=sys.stderr)
    return status
