"""A contestant's side of its process: how it starts, what it may take, and how it fails.

It has one processor. Answers go to what was standard output at the start; whatever a library
prints, to standard error.
"""

import importlib
import importlib.metadata
import json
import math
import os
import resource
import time
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, TextIO


def installed(package: str) -> str:
    """The version of a package."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "source tree"


def started(
    module: str, packages: Iterable[str], version: Callable[[str], str] = installed
) -> tuple[ModuleType | None, TextIO]:
    """The contestant's module, None where it is not installed, and where its answers go.

    The first line there says versions, or a status.
    """
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        say({"status": f"not installed: {error.name}"}, answers)
        return None, answers
    except Exception as error:
        say({"status": failure(error)}, answers)
        raise
    say({"versions": {package: version(package) for package in packages}}, answers)
    return found, answers


def say(answer: dict[str, Any], answers: TextIO) -> None:
    """One line of JSON."""
    print(json.dumps(answer), file=answers)


def failure(error: Exception) -> str:
    """What went wrong, in a line."""
    text = str(error).splitlines() or [""]
    return f"failed: {type(error).__name__}: {text[0]}"


def allow(seconds: float) -> None:
    """So many more of the processor's seconds from now on: then the kernel ends it (SIGXCPU)."""
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + seconds), most))
