"""Two score files → comparisons: arms paired by sample, one row a metric, the primary metric first.

The arithmetic is `stats`; here scores become items and items become rows. Nothing here decides: gates read the rows.
"""

from sluicegate.compare.comparing import compare
from sluicegate.compare.contrasts import CONTRASTS, Contrast, read_contrasts
from sluicegate.compare.files import Comparisons, read, write
from sluicegate.compare.foreign import load_scores
from sluicegate.compare.reduction import reduce_pass_at_k
from sluicegate.compare.reported import reachable
from sluicegate.compare.score_files import compare_files
from sluicegate.compare.text import summary, table

__all__ = [
    "CONTRASTS",
    "Comparisons",
    "Contrast",
    "compare",
    "compare_files",
    "load_scores",
    "reachable",
    "read",
    "read_contrasts",
    "reduce_pass_at_k",
    "summary",
    "table",
    "write",
]
