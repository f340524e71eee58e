"""The settings of a run: the flags of `tightbound fit`, or the same names in a TOML file."""

import dataclasses
import tomllib
import types
import typing
from pathlib import Path
from typing import Any

from tightbound.digests.text import read_sealed, sealed
from tightbound.errors import UsageError
from tightbound.files import is_file, read_bytes

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
    """One field per flag; `None` leaves the choice to what the flag configures."""

    data: str = "digits"
    split: str = "default"
    objective: str = "iwae"
    k: int | None = None
    samples: int | None = None
    gradient: str | None = None
    estimator: str | None = None
    latent: str = "50"
    hidden: str = "200,200"
    layers: int = 1
    likelihood: str = "bernoulli"
    activation: str = "tanh"
    posterior: str = "normal"
    prior: str | None = None
    initial: float | None = None
    weight_prior: float | None = None
    bayesian: float | None = None
    epochs: int = 100
    batch_size: int = 100
    optimizer: str = "muon"
    learning_rate: float | None = None
    schedule: str = "cosine"
    average: float | None = None
    early_stopping: int | None = None
    binarize: str = "auto"
    seeds: int = 1
    key: int = 0
    evaluate_k: int = 5000

    def objective_options(self) -> dict[str, Any]:
        """The options that were given for the objective, and defaults where it needs some."""
        names = ("k", "samples", "gradient", "estimator")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        if self.objective == "iwae":
            given.setdefault("k", 50)
        if self.objective in ("elbo", "iwae") and given.get("estimator") != "B":
            given.setdefault("gradient", "dreg")
        return given

    def sizes(self) -> dict[str, Any]:
        """Arguments for `tb.autoencoder`."""
        hidden = [_integers("hidden", widths) for widths in self.hidden.split(";")]
        latent = _integers("latent", self.latent)
        return {
            "latent": latent[0] if len(latent) == 1 else latent,
            "hidden": hidden[0] if len(hidden) == 1 else hidden,
            "layers": self.layers,
            "likelihood": self.likelihood,
            "activation": self.activation,
            "posterior": self.posterior,
            "prior": self.prior,
            "initial": self.initial,
        }

    def to_toml(self) -> str:
        """The settings as TOML with their SHA-256; what was left open is left out."""
        import tomli_w

        fields = dataclasses.asdict(self)
        given = {name: value for name, value in fields.items() if value is not None}
        return sealed(tomli_w.dumps(given))


def preset(name: str) -> dict[str, Any]:
    """The settings of a published experiment.

    Raises:
        UsageError: The name is not known.
    """
    if name not in PRESETS:
        raise UsageError(f"expected a preset out of {', '.join(PRESETS)}, got {name!r}")
    return PRESETS[name]


def read_toml(path: Path) -> dict[str, Any]:
    """Reads settings from a TOML file whose keys are the names of the flags.

    Raises:
        UsageError: No file, no TOML, an unknown key, or a value of the wrong type.
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
    try:
        settings = tomllib.loads(text.decode("utf-8"))
    except RecursionError:
        raise UsageError(f"{path} is not TOML: it is nested too deeply") from None
    except ValueError as error:
        raise UsageError(f"{path} is not TOML: {error}") from error
    hints = typing.get_type_hints(Config)
    for name, value in settings.items():
        if name not in hints:
            raise UsageError(f"{path}: unknown key {name!r}; known are {', '.join(hints)}")
        settings[name] = _checked(path, name, value, hints[name])
    return settings


def _checked(path: Path, name: str, value: Any, hint: Any) -> Any:
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if float in kinds and type(value) is int:
        return float(value)
    if type(value) not in kinds:
        wanted = " or ".join(kind.__name__ for kind in kinds if kind is not types.NoneType)
        raise UsageError(f"{path}: expected {name} to be {wanted}, got {value!r}")
    return value


def _integers(name: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"expected {name} as whole numbers like 200,200, got {text!r}") from error
