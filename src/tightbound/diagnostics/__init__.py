"""Diagnostics of a fitted model and its posterior, of draws, and of an objective's gradient."""

from tightbound.diagnostics.active_units import LayerUnits as LayerUnits
from tightbound.diagnostics.active_units import active_units as active_units
from tightbound.diagnostics.gradient_snr import GradientSignal as GradientSignal
from tightbound.diagnostics.gradient_snr import gradient_snr as gradient_snr
from tightbound.diagnostics.inference_gap import InferenceGap as InferenceGap
from tightbound.diagnostics.inference_gap import inference_gap as inference_gap
from tightbound.diagnostics.informative_missingness import (
    InformativeMissingness as InformativeMissingness,
)
from tightbound.diagnostics.informative_missingness import (
    informative_missingness as informative_missingness,
)
from tightbound.diagnostics.ratio_calibration import Calibration as Calibration
from tightbound.diagnostics.ratio_calibration import ratio_calibration as ratio_calibration
from tightbound.diagnostics.two_samples import GridKL as GridKL
from tightbound.diagnostics.two_samples import TwoSamples as TwoSamples
from tightbound.diagnostics.two_samples import c2st as c2st
from tightbound.diagnostics.two_samples import kl_on_grid as kl_on_grid
