"""Turns the records of a run folder into tables, figures and one offline page; needs no model."""

from tightbound.report.summary import json_records, summary_lines
from tightbound.report.write import write_report

__all__ = ["json_records", "summary_lines", "write_report"]
