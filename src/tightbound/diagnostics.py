"""Diagnostics of a fitted model and its posterior, of draws, and of an objective's gradient."""

from tightbound.evidence.active_units import LayerUnits as LayerUnits
from tightbound.evidence.active_units import active_units as active_units
from tightbound.evidence.inference_gap import InferenceGap as InferenceGap
from tightbound.evidence.inference_gap import inference_gap as inference_gap
from tightbound.evidence.two_samples import GridKL as GridKL
from tightbound.evidence.two_samples import TwoSamples as TwoSamples
from tightbound.evidence.two_samples import c2st as c2st
from tightbound.evidence.two_samples import kl_on_grid as kl_on_grid
from tightbound.training.calibration import Calibration as Calibration
from tightbound.training.calibration import ratio_calibration as ratio_calibration
from tightbound.training.signal import GradientSignal as GradientSignal
from tightbound.training.signal import gradient_snr as gradient_snr
