"""The names that users write, known without loading what they name.

A wrong name is to be refused at once, before seconds of imports. Tests hold every tuple here
against the registry of the things themselves.
"""

import ast
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tightbound.core.calls import Call, Signature, bind, parse, signature
from tightbound.core.discovery import Place, places
from tightbound.core.errors import UsageError, unknown

SHORT_GRADIENTS = ("stl", "dreg", "single_sample")
FAMILIES = (
    "exponential",
    "cauchy",
    "logistic",
    "rayleigh",
    "pareto",
    "weibull",
    "reciprocal",
    "gompertz",
    "gumbel",
    "erlang",
    "laplace",
    "elliptical",
    "elliptical_t",
    "student_t",
    "uniform",
    "triangular",
    "normal",
    "log_normal",
    "gamma",
    "dirichlet",
    "beta",
    "chi_squared",
    "f",
)
PRIORS = (*FAMILIES, "bernoulli", "mixture", "vamp")
POSTERIORS = (*FAMILIES, "bernoulli", "flow", "semi_implicit", "implicit")
ACTIVATIONS = ("tanh", "relu", "elu", "gelu", "silu", "leaky_relu", "softplus")
NETWORKS = ("dense", "conv", "ladder")
INFERENCES = ("bottom_up", "top_down")
SEQUENCE_MODELS = ("deep_markov", "vrnn")
SEQUENCE_POSTERIORS = ("st_l", "st_r", "st_lr")
SCHEDULES = ("constant", "cosine", "linear", "iwae")
BINARISATIONS = ("auto", "dynamic", "fixed", "none")
PARTS = ("train", "validation", "test")
DEFAULT_RATES = {"adam": 2e-3, "adamw": 2e-3, "iwae_adam": 1e-3, "muon": 2e-2}
"""Highest learning rates for runs that name none."""
OPTIMIZERS = (
    "adam", "adamw", "muon", "iwae_adam", "sgd", "rmsprop", "adagrad", "acprop", "adabelief",
    "adadelta", "adafactor", "adamax", "adamaxw", "adan", "ademamix", "adopt", "amsgrad", "cocob",
    "dadapt_adamw", "dog", "dowg", "fromage", "galore", "lamb", "lars", "lion", "madgrad", "nadam",
    "nadamw", "noisy_sgd", "novograd", "optimistic_adam", "optimistic_adam_v2",
    "optimistic_gradient_descent", "prodigy", "radam", "rprop", "schedule_free_adamw",
    "schedule_free_sgd", "sign_sgd", "signum", "simplified_ademamix", "sm3", "yogi",
)  # fmt: skip
"""Ours, and those of Optax 0.2.8 that need a rate and gradients alone."""
OTHER_WORDS = {
    "likelihood": {"normal": "gaussian", "binary": "bernoulli", "real": "gaussian"},
    "posterior": {"gaussian": "normal", "diagonal": "normal", "lognormal": "log_normal"},
    "prior": {"gaussian": "normal", "lognormal": "log_normal"},
    "gradient": {"reinforce": "score_function", "pathwise": "reparameterized"},
    "objective": {"vae": "elbo", "avb": "pc_adv"},
    "network": {"mlp": "dense", "cnn": "conv", "convolutional": "conv"},
}
"""What others call the same thing."""
MASKS = ("self_masking", "linear", "nonlinear", "constant")
"""What may be said of p(s|x), the law of which values are missing."""
JOINT = ("dirichlet", "elliptical", "elliptical_t")
"""Families whose units depend on each other, so that single columns have no law of theirs."""


def check_name(kind: str, name: str, choices: tuple[str, ...]) -> None:
    """Refuses a name that is not among the choices, and names near ones.

    Raises:
        UsageError: The name is not known.
    """
    if name in choices:
        return
    error = unknown(kind, name, choices)
    other = OTHER_WORDS.get(kind, {}).get(name)
    if other is not None:
        error = UsageError(f"{str(error).partition('; did you mean')[0]}; did you mean {other}?")
    raise error


def _check_by_name(call: Call) -> None:
    """Refuses options that are given without their names.

    Raises:
        UsageError: There are some.
    """
    if call.values:
        raise UsageError(f"expected the options of {call.name} by name, got {call!r}")


def check_gradient(name: object) -> None:
    """Refuses a name that is no gradient estimator's, nor one's with @ and a number of draws.

    Raises:
        UsageError: The name is not known, or the number is none.
    """
    if not isinstance(name, str):
        raise UsageError(f"expected a gradient by name or as an estimator, got {name!r}")
    plain, at, draws = name.partition("@")
    check_name("gradient", plain, (*gradients(), *SHORT_GRADIENTS))
    if at and (plain == "single_sample" or not (draws.isdecimal() and int(draws) > 0)):
        raise UsageError(
            f"expected a gradient with @ and a number of backward passes as dreg@8, got {name!r}"
        )


def check_family(kind: str, name: str) -> None:
    """Refuses a family of latents that is not known, as "posterior" or "prior".

    Raises:
        UsageError: The name is not known, or the shape of "erlang:K" is no whole number >= 1.
    """
    plain, colon, shape = name.partition(":")
    if plain != "erlang" or not colon:
        check_name(kind, name, POSTERIORS if kind == "posterior" else PRIORS)
    elif not (shape.isdecimal() and int(shape) > 0):
        raise UsageError(f"expected erlang:K with a whole number K >= 1, got {name!r}")


def prior_call(text: str) -> Call:
    """A prior as a call: "normal", "normal(learned=True)", "mixture(components=50)", "erlang:3".

    Raises:
        UsageError: The name is not known, or an option that it does not take.
    """
    if ":" in text:
        check_family("prior", text)
        return Call(text)
    call = parse(text, "mixture(components=50)")
    check_name("prior", call.name, PRIORS)
    _check_by_name(call)
    own = {"mixture": {"components": "int"}, "vamp": {"components": "int"}, "bernoulli": {}}
    kinds = own.get(call.name, {"learned": "bool"})
    of = Signature({name: ast.Name(kind) for name, kind in kinds.items()}, (), {"components": 2})
    bind("prior", call.name, (), call.options, of)
    return call


def check_binarisation(text: str) -> None:
    """Refuses what is no way to binarise: a name, or "fixed:SEED".

    Raises:
        UsageError: The name is not known, or the seed is not a whole number below 2**32.
    """
    name, colon, seed = text.partition(":")
    check_name("binarisation", name, BINARISATIONS)
    if colon and not (name == "fixed" and seed.isdecimal() and int(seed) < 2**32):
        raise UsageError(f"expected fixed:SEED with a whole seed below 2**32, got {text!r}")


@cache
def objectives() -> dict[str, Place]:
    """The place of each objective by name: the files that define a function of their own name."""
    return {
        place.path.stem: place
        for place in sorted(places("objectives"), key=lambda place: place.path.stem)
        if re.search(rf"^def {place.path.stem}\(", place.text, re.MULTILINE)
    }


@cache
def likelihoods() -> dict[str, Place]:
    """The place of each likelihood by name: the keys of `LIKELIHOODS` in a file."""
    return _keys("likelihoods", "LIKELIHOODS")


def likelihood_call(asked: Any) -> Call:
    """A likelihood as a call: of a name, or of a name with options as "gaussian_fixed(scale=0.1)".

    Raises:
        UsageError: The name is not known, an option is given without its name, or the family is one
            whose units depend on each other.
    """
    if not isinstance(asked, str | Call):
        raise UsageError(f"expected a likelihood by name, got {asked!r}")
    call = asked if isinstance(asked, Call) else parse(asked, "gaussian_fixed(scale=0.1)")
    if call.name in JOINT:
        raise UsageError(
            f"the likelihood {call.name!r} would be a law of all columns together, and likelihoods "
            "are of one column each: expected another family, as 'student_t' or 'beta'"
        )
    check_name("likelihood", call.name, tuple(likelihoods()))
    _check_by_name(call)
    return call


def missingness_call(text: str) -> Call:
    """A model of the mask as a call: "linear", "self_masking(sign='high_missing', censored=True)".

    Options are those of `tb.models.missingness`; censored says whether the data themselves are.

    Raises:
        UsageError: The kind is not known, or an option is given without its name or of another
            kind.
    """
    call = parse(text, "self_masking(sign='high_missing')")
    check_name("kind of mask", call.name, MASKS)
    _check_by_name(call)
    (place,) = (place for place in places("models") if place.path.stem == "missingness")
    kinds = signature(place.path, "missingness").kinds
    taken = {name: kinds[name] for name in ("sign", "hidden", "activation")}
    of = Signature(taken | {"censored": ast.Name("bool")}, (), {})
    bind("mask", call.name, (), call.options, of)
    return call


@cache
def gradients() -> dict[str, Place]:
    """The place of each gradient estimator by name: the keys of `GRADIENTS` in a file."""
    return _keys("gradients", "GRADIENTS")


@cache
def sources() -> tuple[Place, ...]:
    """The files of named data sets: those that assign `SPLITS`."""
    return tuple(place for place, _ in _assigned("data", "SPLITS"))


@cache
def splits() -> dict[str, tuple[str, ...]]:
    """The named data sets with their splits, as their files say in `SPLITS`."""
    found = {}
    for _, value in _assigned("data", "SPLITS"):
        found |= ast.literal_eval(value)
    return found


def _keys(folder: str, name: str) -> dict[str, Place]:
    """The files of a folder by the keys of the dictionary that they assign to a name."""
    return {
        str(key.value): place
        for place, value in _assigned(folder, name)
        for key in value.keys
        if isinstance(key, ast.Constant)
    }


def _assigned(folder: str, name: str) -> list[tuple[Place, ast.Dict]]:
    """The files of a folder that assign a dictionary to a name, with its source; none is run."""
    found = []
    for place in places(folder):
        text = place.text
        if re.search(rf"^{name} = {{", text, re.MULTILINE):
            for node in ast.parse(text).body:
                match node:
                    case ast.Assign([ast.Name(target)], ast.Dict() as value) if target == name:
                        found.append((place, value))
                    case _:
                        pass
    return found


def objective_call(text: str, options: dict[str, Any] | None = None) -> Call:
    """The call of an objective, checked: its names, and its arguments' kinds and least numbers.

    Args:
        text: A name, which stands for the call with the usual arguments (k = 50, the gradient
            "dreg"), or a call such as "jvi(k=8, order=1)".
        options: Arguments given beside a name.

    Raises:
        UsageError: An unknown name, arguments that the objective does not take, or options beside
            a call, which names its own.
    """
    call = parse(text, "iwae(k=50)")
    options = options or {}
    if "(" in text:
        if options:
            raise UsageError(f"{text} names its own options: leave out {', '.join(options)}")
    else:
        call = call._replace(options=_usual(call.name, options))
    check_objective(call)
    return call


def _usual(name: str, options: dict[str, Any]) -> dict[str, Any]:
    usual: dict[str, Any] = {"k": 50} if name == "iwae" else {}
    if name in ("elbo", "iwae") and options.get("estimator") != "B":
        usual["gradient"] = "dreg"
    return usual | options


def check_objective(call: Call) -> dict[str, Any]:
    """The arguments of an objective's call by name, with those of the calls within checked too.

    Raises:
        UsageError: As said at `objective_call`.
    """
    found = objectives()
    check_name("objective", call.name, tuple(found))
    of = signature(found[call.name].path, call.name)
    given = bind("objective", call.name, call.values, call.options, of)
    if isinstance(given.get("gradient"), str):
        check_gradient(given["gradient"])
    for value in given.values():
        _check_within(value)
    return given


def _check_within(value: Any) -> None:
    if isinstance(value, Call):
        check_objective(value)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_within(item)


def check_optimizer(text: str, learning_rate: float | None = None) -> None:
    """Refuses an optimiser that is neither ours nor mentioned by Optax, or that lacks a rate.

    Raises:
        UsageError: The name is not known; no rate, or two of them.
    """
    call = parse(text, "adam(b1=0.9)")
    if call.name not in OPTIMIZERS and not _in_optax(call.name):
        raise unknown("optimizer", call.name, OPTIMIZERS)
    if call.values:
        raise UsageError(f"expected the arguments of {call.name} by name, as learning_rate=0.01")
    rate = call.options.get("learning_rate")
    if rate is not None and learning_rate is not None:
        raise UsageError(f"{text} names its own learning rate: leave out learning_rate")
    if call.name not in DEFAULT_RATES and rate is None and learning_rate is None:
        raise UsageError(
            f"the optimizer {call.name} needs a learning rate of yours; "
            f"{', '.join(DEFAULT_RATES)} have one of ours"
        )


def _in_optax(name: str) -> bool:
    """Whether the installed Optax, which may be newer than the tuple above, has such a word."""
    spec = find_spec("optax")
    if spec is None or spec.origin is None:
        return False
    files = (Path(spec.origin), Path(spec.origin).parent / "contrib" / "__init__.py")
    texts = [file.read_text(encoding="utf-8") for file in files if file.is_file()]
    return any(re.search(rf"\b{re.escape(name)}\b", text) for text in texts)
