"""Reports: what `evaluate` found, as rows and as a page; and the page to see, hear and correct alignments."""

from aligner.report.evaluation import FIGURES, LEGEND, evaluation_page, figure_rows
from aligner.report.folder import PAGE, Report, Selection, write_report
from aligner.report.overview import Overview, listed
from aligner.report.sound import Sounds

__all__ = [
    "FIGURES",
    "LEGEND",
    "PAGE",
    "Overview",
    "Report",
    "Selection",
    "Sounds",
    "evaluation_page",
    "figure_rows",
    "listed",
    "write_report",
]
