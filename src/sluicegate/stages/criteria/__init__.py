"""The criteria of the gates: pure functions of evidence, each giving one `Check`.

A criterion says what was wanted, what was seen, how to mend it, and which outcome its failure means. `passed=None`
shows something without deciding. Adding one: write a function, name it in `CRITERIA`, name it in a stage of `plan`.
"""

from __future__ import annotations

from collections.abc import Callable

from sluicegate.records import Check
from sluicegate.stages.criteria.entry import (
    declared,
    environment,
    former_go,
    registered,
    same_code,
    same_data,
    within_budget,
)
from sluicegate.stages.criteria.gain import (
    across_scenarios,
    gain_is_real,
    gain_not_too_small,
    must_not_worsen,
    not_futile,
    older_gate,
    recipe,
    signal,
)
from sluicegate.stages.criteria.training import (
    answers,
    arms_trained,
    four_bit,
    loss_falls,
    memory_forecast,
    stable,
    steps_done,
    steps_ended,
    tracking_complete,
)
from sluicegate.stages.criteria.validity import (
    coverage,
    distinct_items,
    fresh_items,
    judge_fit,
    no_leak,
    prompt_parity,
    sandboxed,
)
from sluicegate.stages.evidence import Evidence

Criterion = Callable[[Evidence], Check]

CRITERIA: dict[str, Criterion] = {
    "registered": registered,
    "former_go": former_go,
    "declared": declared,
    "same_code": same_code,
    "same_data": same_data,
    "environment": environment,
    "within_budget": within_budget,
    "steps_ended": steps_ended,
    "arms_trained": arms_trained,
    "tracking_complete": tracking_complete,
    "stable": stable,
    "sandboxed": sandboxed,
    "four_bit": four_bit,
    "memory_forecast": memory_forecast,
    "steps_done": steps_done,
    "loss_falls": loss_falls,
    "answers": answers,
    "prompt_parity": prompt_parity,
    "no_leak": no_leak,
    "distinct_items": distinct_items,
    "fresh_items": fresh_items,
    "coverage": coverage,
    "judge_fit": judge_fit,
    "not_futile": not_futile,
    "signal": signal,
    "gain_not_too_small": gain_not_too_small,
    "gain_is_real": gain_is_real,
    "recipe": recipe,
    "across_scenarios": across_scenarios,
    "must_not_worsen": must_not_worsen,
    "older_gate": older_gate,
}
