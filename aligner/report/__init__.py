"""Reports: what `evaluate` found, as rows of a table and as an HTML page."""

from aligner.report.evaluation import FIGURES, LEGEND, evaluation_page, figure_rows

__all__ = ["FIGURES", "LEGEND", "evaluation_page", "figure_rows"]
