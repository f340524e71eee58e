"""The settings of a run: the flags of `tightbound fit`, or the same names in a TOML file."""

import dataclasses
import math
import os
import types
import typing
from pathlib import Path
from typing import Any

from tightbound.core import names
from tightbound.core.calls import LARGEST, Call, shortened
from tightbound.core.digests.text import read_sealed, sealed
from tightbound.core.errors import UsageError, unknown
from tightbound.core.files import is_file, read_bytes
from tightbound.recipes.candidates import check_candidates

_AEVB = {
    "objective": "elbo",
    "estimator": "B",
    "samples": 1,
    "activation": "tanh",
    "initial": 0.1,
    "weight_prior": 1.0,
    "optimizer": "adagrad",
    "learning_rate": 0.02,
    "schedule": "constant",
    "batch_size": 100,
}
LARGEST_KEY = 2**32 - 1
"""A seed is 32 bits: beyond them, seeds would coincide."""
WHOLE = {
    "k": (0, LARGEST),  # an objective's own least number is checked with its call
    "samples": (1, LARGEST),
    "layers": (1, 100),
    "epochs": (1, LARGEST),
    "batch_size": (1, LARGEST),
    "early_stopping": (1, LARGEST),
    "labels": (2, LARGEST),
    "seeds": (1, 10_000),
    "key": (0, LARGEST_KEY),
    "evaluate_k": (0, LARGEST),
}
"""The least and the largest value of settings that are whole numbers."""
POSITIVE = ("scale", "initial", "weight_prior", "bayesian", "learning_rate")
WIDEST = 10**6
COLUMNS = ("real", "positive", "count", "category", "ordinal", "binary", "bounded", "drop", "label",
           "schema")  # fmt: skip
"""Settings that say what the columns of a table are."""
OF_NO_MODEL = ("data", "split", "scale", "header", *COLUMNS, "candidates", "key", "evaluate_k")
"""Settings that ask for no model: those of a fit that chooses among candidates."""
PRESETS: dict[str, dict[str, Any]] = {
    # Kingma & Welling (2013), section 5 and figure 2; latent sizes there: 3, 5, 10, 20, 200.
    # N(0, 0.01) is read as a variance, which is how the paper writes normals elsewhere.
    "aevb": _AEVB | {"data": "mnist", "split": "aevb", "hidden": "500", "latent": "20"},
    "aevb_frey": _AEVB
    | {
        "data": "frey_faces",
        "hidden": "200",
        "latent": "10",
        "likelihood": "gaussian_unit_mean",
    },
    # Burda et al. (2015), section 5 and the authors' code, one stochastic layer, k = 50.
    "iwae": {
        "data": "mnist",
        "split": "iwae",
        "objective": "iwae",
        "k": 50,
        "gradient": "reparameterized",
        "optimizer": "iwae_adam",
        "schedule": "iwae",
        "epochs": 3280,
        "batch_size": 20,
    },
}
"""Settings of published experiments by name; a flag that is given goes before them."""


@dataclasses.dataclass(frozen=True)
class Config:
    """One field per flag; `None` leaves the choice to what the flag configures.

    With `candidates` the fields that are not in `OF_NO_MODEL` have no part in it.
    """

    data: str = "digits"
    split: str = "default"
    scale: float | None = None
    header: bool | None = None
    real: str | None = None
    positive: str | None = None
    count: str | None = None
    category: str | None = None
    ordinal: str | None = None
    binary: str | None = None
    bounded: str | None = None
    drop: str | None = None
    label: str | None = None
    labels: int | None = None
    schema: str | None = None
    candidates: str | None = None
    objective: str = "iwae"
    k: int | None = None
    samples: int | None = None
    gradient: str | None = None
    estimator: str | None = None
    latent: str = "50"
    hidden: str | None = None
    layers: int = 1
    network: str = "dense"
    inference: str | None = None
    likelihood: str = "bernoulli"
    activation: str | None = None
    posterior: str = "normal"
    prior: str | None = None
    missingness: str | None = None
    initial: float | None = None
    weight_prior: float | None = None
    bayesian: float | None = None
    epochs: int = 100
    batch_size: int | None = None
    optimizer: str = "muon"
    learning_rate: float | None = None
    schedule: str = "cosine"
    average: float | None = None
    early_stopping: int | None = None
    binarize: str = "auto"
    seeds: int = 1
    key: int = 0
    evaluate_k: int | None = None

    def objective_call(self) -> Call:
        """The call of the objective, from its name and flags or as it was written; checked.

        Raises:
            UsageError: An unknown name, or arguments that it does not take.
        """
        flags = ("k", "samples", "gradient", "estimator")
        given = {name: getattr(self, name) for name in flags if getattr(self, name) is not None}
        return names.objective_call(self.objective, given)

    def check(self) -> None:
        """Refuses names that are not known and numbers out of range, before any work is done.

        Raises:
            UsageError: What was expected and what came.
        """
        for name, (least, most) in WHOLE.items():
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), least, most)
        for name in POSITIVE:
            number = getattr(self, name)
            if number is not None and not 0 < number < math.inf:
                raise UsageError(f"expected {name} > 0 and finite, got {number}")
        if self.average is not None and not 0 < self.average < 1:
            raise UsageError(f"expected average, a decay, between 0 and 1, got {self.average}")
        if self.weight_prior is not None and self.bayesian is not None:
            raise UsageError(
                "weight_prior and bayesian are two priors on the parameters: leave one"
            )
        check_data(self.data, self.split)
        self.columns()
        if self.candidates is not None:
            check_candidates(self.candidates, self.data, self.evaluate_k)
        objective = self.objective_call()
        if self.labels is not None and objective.name != "m2":
            raise UsageError(f"labels= is for the objective m2, got {objective.name}")
        self._check_sizes()
        names.likelihood_call(self.likelihood)
        names.check_name("network", self.network, (*names.NETWORKS, *names.SEQUENCE_MODELS))
        if self.inference is not None:
            names.check_name("inference", self.inference, names.INFERENCES)
        if self.activation is not None:
            names.check_name("activation", self.activation, names.ACTIVATIONS)
        if self.of_sequences:
            self._check_sequences()
        else:
            names.check_family("posterior", self.posterior)
        if self.prior is not None:
            names.prior_call(self.prior)
        if self.missingness is not None:
            names.missingness_call(self.missingness)
            if self.bayesian is not None:
                raise UsageError("missingness and bayesian do not go together: leave one out")
        names.check_optimizer(self.optimizer, self.learning_rate)
        names.check_name("schedule", self.schedule, names.SCHEDULES)
        names.check_binarisation(self.binarize)

    @property
    def of_sequences(self) -> bool:
        """Whether the model is one of sequences."""
        return self.network in names.SEQUENCE_MODELS

    def sequence_sizes(self) -> dict[str, Any]:
        """Arguments for `tb.sequence_model`; its own where the settings are at their defaults."""
        given: dict[str, Any] = {"kind": self.network, "likelihood": self.likelihood}
        for name in ("latent", "posterior", "hidden", "activation"):
            value = getattr(self, name)
            if value != getattr(Config, name):
                given[name] = value
        for name in ("latent", "hidden"):
            if name in given:
                (given[name],) = _integers(name, given[name])
        return given

    def _check_sequences(self) -> None:
        """Refuses settings that a model of sequences has no use for.

        Raises:
            UsageError: They are named.
        """
        for name in ("layers", "inference", "prior", "missingness", "initial"):
            if getattr(self, name) != getattr(Config, name):
                raise UsageError(
                    f"{name} has no meaning for network={self.network!r}: leave it out"
                )
        for name in ("latent", "hidden"):
            if "," in (text := getattr(self, name) or "") or ";" in text:
                raise UsageError(
                    f"expected one number as {name} for network={self.network!r}, got {text!r}"
                )
        if self.posterior != Config.posterior:
            names.check_name("posterior of sequences", self.posterior, names.SEQUENCE_POSTERIORS)
        self.sequence_sizes()

    def sizes(self) -> dict[str, Any]:
        """Arguments for `tb.autoencoder`."""
        hidden = None
        if self.hidden is not None:
            each = [_integers("hidden", widths) for widths in self.hidden.split(";")]
            hidden = each[0] if len(each) == 1 else each
        latent = _integers("latent", self.latent)
        return {
            "latent": latent[0] if len(latent) == 1 else latent,
            "hidden": hidden,
            "layers": self.layers,
            "network": self.network,
            "inference": self.inference,
            "likelihood": self.likelihood,
            "activation": self.activation,
            "posterior": self.posterior,
            "prior": self.prior,
            "initial": self.initial,
        }

    @property
    def says_columns(self) -> bool:
        """Whether anything is said of a table's columns."""
        return any(getattr(self, name) is not None for name in COLUMNS)

    def columns(self) -> dict[str, Any]:
        """What `tb.data.load` is told of a table's columns.

        Raises:
            UsageError: Limits that are no two numbers.
        """
        lists = ("real", "positive", "count", "category", "binary", "drop")
        found: dict[str, Any] = {
            name: _listed(text) for name in lists if (text := getattr(self, name)) is not None
        }
        if self.ordinal is not None:
            named = [_assigned(part) for part in _listed(self.ordinal)]
            found["ordinal"] = {
                name: said and [level.strip() for level in said.split("<")] for name, said in named
            }
        if self.bounded is not None:
            named = [_assigned(part) for part in _listed(self.bounded)]
            found["bounded"] = {name: said and _limits(said) for name, said in named}
        last = {"label": self.label, "schema": self.schema}
        return found | {name: said for name, said in last.items() if said is not None}

    def _check_sizes(self) -> None:
        """One entry stands for all layers; otherwise there is one for each."""
        for name, separator in (("latent", ","), ("hidden", ";")):
            entries = (getattr(self, name) or "").count(separator) + 1
            if entries not in (1, self.layers):
                raise UsageError(
                    f"expected {self.layers} entries of {name} for layers={self.layers}, "
                    f"got {entries}"
                )
        self.sizes()

    def to_toml(self) -> str:
        """The settings as TOML with their SHA-256; what was left open is left out."""
        import tomli_w

        fields = dataclasses.asdict(self)
        given = {
            name: value
            for name, value in fields.items()
            if value is not None and (self.candidates is None or name in OF_NO_MODEL)
        }
        return sealed(tomli_w.dumps(given))


def _listed(text: str) -> list[str]:
    """Names with commas between them."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _assigned(text: str) -> tuple[str, str | None]:
    """A name, and what stands behind its last equals sign, if there is one."""
    name, mark, said = text.rpartition("=")
    return (name.strip(), said.strip()) if mark else (text, None)


def _limits(text: str) -> tuple[float, float]:
    try:
        low, high = map(float, text.split(".."))
    except ValueError:
        raise UsageError(f"expected limits such as rate=0..100, got {shortened(text)}") from None
    return low, high


def preset(name: str) -> dict[str, Any]:
    """The settings of a published experiment.

    Raises:
        UsageError: The name is not known.
    """
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return PRESETS[name]


def check_whole(name: str, number: int, least: int, most: int) -> None:
    """Refuses a whole number outside its limits.

    Raises:
        UsageError: The limits, and what came.
    """
    if number < least:
        raise UsageError(f"expected {name} >= {least}, got {number}")
    if number > most:
        raise UsageError(f"expected {name} <= {most}, got {shortened_number(number)}")


def shortened_number(number: int) -> str:
    """The number, or its size where it has very many digits."""
    return str(number) if number.bit_length() < 200 else f"a number of {number.bit_length()} bits"


def read_toml(path: Path) -> dict[str, Any]:
    """Reads settings from a TOML file whose keys are the names of the flags.

    Raises:
        UsageError: No file, no TOML, no settings, an unknown key, or a value of the wrong type.
    """
    return _settings(read_bytes(path, "a config file"), path)


def read_settings(directory: Path) -> dict[str, Any]:
    """Reads the settings that a run's folder was fitted with.

    Raises:
        UsageError: None are there, or they are not as they were written.
    """
    path = directory / "config.toml"
    if not is_file(path):
        raise UsageError(
            f"{directory} holds no run to go on with, there is no config.toml in it: leave out "
            "--resume to begin one"
        )
    return _settings(read_sealed(path, "the settings of a run").encode(), path)


def _settings(text: bytes, path: Path) -> dict[str, Any]:
    import tomllib

    try:
        settings = tomllib.loads(text.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not TOML: it is not UTF-8 text ({error.reason})") from error
    # Long integers and deep nesting end the reader otherwise than TOML that is wrong.
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from error
    if not settings:
        raise UsageError(f"{path} holds no settings: expected lines such as epochs = 100")
    hints = typing.get_type_hints(Config)
    for name, value in settings.items():
        if name not in hints:
            raise UsageError(f"{path}: {unknown('key', name, hints)}")
        settings[name] = _checked(path, name, value, hints[name])
    return settings


def _checked(path: Path, name: str, value: Any, hint: Any) -> Any:
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if float in kinds and type(value) is int:
        try:
            return float(value)
        except OverflowError as error:
            raise UsageError(f"{path}: expected {name} within what a float holds") from error
    if type(value) not in kinds:
        wanted = " or ".join(kind.__name__ for kind in kinds if kind is not types.NoneType)
        raise UsageError(
            f"{path}: expected {name} to be {wanted}, got {shortened(repr(value), quoted=False)}"
        )
    return value


def _integers(name: str, text: str) -> list[int]:
    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(
            f"expected {name} as whole numbers like 200,200, got {shortened(text)}"
        ) from error
    for size in sizes:
        check_whole(name, size, 1, WIDEST)
    return sizes


def check_data(data: str, split: str = "default") -> None:
    """Refuses a name that is neither a data set's nor a file's or folder's, and a wrong split.

    Raises:
        UsageError: Near names, or that there is no such file.
    """
    if data in names.splits():
        names.check_name("split", split, tuple(dict.fromkeys(("default", *names.splits()[data]))))
    elif not os.path.lexists(data):
        if os.sep in data or "." in data:
            raise UsageError(f"there is no file or folder {shortened(data)}")
        raise unknown("data set", data, names.splits())
