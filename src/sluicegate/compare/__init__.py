"""Two score files → comparisons: arms paired by sample, one row a metric, the primary metric first.

The arithmetic is `stats`; here scores become items and items become rows. Nothing here decides: gates read the rows.
"""

from sluicegate.compare.comparing import compare
from sluicegate.compare.files import Comparisons, read, table, write
from sluicegate.compare.foreign import load_scores
from sluicegate.compare.reduction import reduce_pass_at_k

__all__ = ["Comparisons", "compare", "load_scores", "read", "reduce_pass_at_k", "table", "write"]
