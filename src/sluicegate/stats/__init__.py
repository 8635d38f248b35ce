"""Statistics: pure, seeded functions over numbers, from pairing to power. No files, no records, no decisions.

Every result is a small frozen record with n, method and seed; what cannot be computed is None with a note, never NaN.
Bad numbers from outside (NaN, infinities, ids that do not pair) are refused with a UserError. numpy and scipy only.
"""

from sluicegate.stats.bayes import Posterior, posterior
from sluicegate.stats.claims import Margin, equivalence, holm, non_inferiority
from sluicegate.stats.components import Draws, components
from sluicegate.stats.effects import cliffs_delta, d_z, hedges_g_av
from sluicegate.stats.grim import Grim, grim
from sluicegate.stats.groups import RUNS_FOR_A_RECIPE, cluster_robust, seed_level
from sluicegate.stats.intervals import bca, constant_interval, gain_interval, mean_interval, t_interval, wilson
from sluicegate.stats.paired import mcnemar, paired_t, sign_flip, wilcoxon
from sluicegate.stats.pairing import Paired, pair
from sluicegate.stats.passk import PassAtK, item_pass_at_k, pass_at_k
from sluicegate.stats.planning import false_go, false_stop, mde, needed
from sluicegate.stats.power import Power, power
from sluicegate.stats.recipe import CLUSTERS_TO_DECIDE, recipe_level
from sluicegate.stats.results import Alternative, Effect, Estimate, Interval, Test
from sluicegate.stats.settling import Settled, Sizes, power_of, settles, stop_of
from sluicegate.stats.simulate import Simulated, simulated
from sluicegate.stats.variance import Design, fit

__all__ = [
    "CLUSTERS_TO_DECIDE",
    "RUNS_FOR_A_RECIPE",
    "Alternative",
    "Design",
    "Draws",
    "Effect",
    "Estimate",
    "Grim",
    "Interval",
    "Margin",
    "Paired",
    "PassAtK",
    "Posterior",
    "Power",
    "Settled",
    "Simulated",
    "Sizes",
    "Test",
    "bca",
    "cliffs_delta",
    "cluster_robust",
    "components",
    "constant_interval",
    "d_z",
    "equivalence",
    "false_go",
    "false_stop",
    "fit",
    "gain_interval",
    "grim",
    "hedges_g_av",
    "holm",
    "item_pass_at_k",
    "mcnemar",
    "mde",
    "mean_interval",
    "needed",
    "non_inferiority",
    "pair",
    "paired_t",
    "pass_at_k",
    "posterior",
    "power",
    "power_of",
    "recipe_level",
    "seed_level",
    "settles",
    "sign_flip",
    "simulated",
    "stop_of",
    "t_interval",
    "wilcoxon",
    "wilson",
]
