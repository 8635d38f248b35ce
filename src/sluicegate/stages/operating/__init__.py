"""Operating characteristics: how often the gate is wrong, by simulating its own rule with its own statistics.

`simulate` is what `sluicegate plan` prints for one design and what `make operating` prints for hundreds of them
(docs/operating.md).
"""

from sluicegate.stages.operating.rates import Rates, exact_bounds, simulate
from sluicegate.stages.operating.rule import Guard, Rule, deciding_test

__all__ = ["Guard", "Rates", "Rule", "deciding_test", "exact_bounds", "simulate"]
