"""The run folder: what the command line writes, and how it is read back into a model."""

from tightbound.runs.classifying import classify_data as classify_data
from tightbound.runs.conditional import conditional_rows as conditional_rows
from tightbound.runs.embedding import embed_data as embed_data
from tightbound.runs.evaluation import evaluate_run as evaluate_run
from tightbound.runs.fitting import fit_run as fit_run
from tightbound.runs.folder import ItemsOf as ItemsOf
from tightbound.runs.folder import items_of as items_of
from tightbound.runs.folder import open_run as open_run
from tightbound.runs.images import reconstruct_data as reconstruct_data
from tightbound.runs.images import sample_chunks as sample_chunks
from tightbound.runs.imputing import impute_data as impute_data
from tightbound.runs.interpolating import interpolate_rows as interpolate_rows
from tightbound.runs.restoring import Asked as Asked
from tightbound.runs.restoring import Restoration as Restoration
from tightbound.runs.restoring import denoise_data as denoise_data
from tightbound.runs.restoring import inpaint_data as inpaint_data
from tightbound.runs.restoring import super_resolve_data as super_resolve_data
from tightbound.runs.scoring import score_data as score_data
from tightbound.runs.scoring import score_lines as score_lines
from tightbound.runs.scoring import score_png as score_png
from tightbound.runs.scoring import score_record as score_record
from tightbound.runs.scoring import score_table as score_table
from tightbound.runs.source import written_items as written_items
from tightbound.runs.table import per_datum as per_datum
