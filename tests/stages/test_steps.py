"""The steps as data: what runs, with which variables, and when it counts as done."""

from __future__ import annotations

from pathlib import Path

from sluicegate import study
from sluicegate.settings import TrainSettings
from sluicegate.stages.forecast import table
from sluicegate.stages.plan import STAGES, resolve
from sluicegate.stages.steps import STACK, Step, environment, steps

DEMO = study.load("demo")


def flat(number: int, changed: study.Study = DEMO) -> list[Step]:
    return list(steps(changed, resolve(changed, number), Path("runs/demo/attempt")))


def test_every_stage_is_data_and_numbered() -> None:
    assert [stage.number for stage in STAGES] == [0, 1, 2, 3, 4]
    assert flat(0) == []
    assert [step.name for step in flat(1)][-1] == "evaluate experiment-s0"
    assert [step.name for step in flat(3)][-1] == "compare"


def test_each_step_reads_what_an_earlier_one_wrote() -> None:
    for number in (1, 2, 3, 4):
        written: set[str] = {"study.yaml"}
        for step in flat(number):
            parts = {path.parts[3] for path in step.inputs}
            assert parts <= written, (step.name, parts - written)
            written |= {path.parts[3] for path in step.outputs}


def test_the_arms_differ_only_in_what_the_study_says() -> None:
    by_name = {step.name: step for step in flat(3)}
    control, experiment = by_name["train control-s0"], by_name["train experiment-s0"]
    different = {key for key in control.env if control.env[key] != experiment.env[key]}
    assert different == {"DATASET_PATH", "VAL_DATASET_PATH", "MODEL_NAME"}


def test_every_training_variable_is_set_so_that_none_leaks_in() -> None:
    env = flat(1)[2].env
    left = {name.upper() for name in TrainSettings.model_fields} - set(env)
    assert left == {"HF_TOKEN", "MLFLOW_TRACKING_URI"}
    assert env["MAX_STEPS"] == "10"
    assert environment({})["EPOCHS"] == ""


def test_stage_changes_and_arm_changes_win_in_that_order() -> None:
    text = study.dump(DEMO)
    arms = {"control": study.Arm(train={}), "experiment": study.Arm(train={"epochs": 7})}
    changed = DEMO.model_copy(
        update={"arms": arms, "stages": {2: study.StageChange(train={"epochs": 5, "lora_r": 4}, seeds=3)}}
    )
    plan = resolve(changed, 2)
    assert plan.train["control"]["epochs"] == 5
    assert plan.train["experiment"]["epochs"] == 7
    assert plan.train["experiment"]["lora_r"] == 4
    assert [model.name for model in plan.models] == [
        f"{arm}-s{seed}" for seed in range(3) for arm in ("control", "experiment")
    ]
    assert study.parse(text, "again") == DEMO


def test_prompts_as_trained_ask_each_arm_its_own_file_and_plain_the_same() -> None:
    def asked(changed: study.Study) -> set[str]:
        return {
            step.argv[step.argv.index("--data") + 1].split("/")[-1]
            for step in flat(3, changed)
            if "--name" in step.argv
        }

    assert asked(DEMO) == {"control-test.jsonl", "experiment-test.jsonl"}
    assert asked(DEMO.model_copy(update={"test_prompts": "plain"})) == {"test.jsonl"}


def test_what_makes_trains_or_asks_a_model_begins_with_the_same_modules_loaded_and_nothing_else_does() -> None:
    for name in ("demo", "k8s-demo"):
        loads = {step.name.split()[0]: step.loads for step in flat(3, study.load(name))}
        nothing = dict.fromkeys(("data", "evaluate", "compare"), ())
        assert loads == dict.fromkeys(("base", "train", "generate"), STACK) | nothing


def test_a_change_of_input_bytes_or_settings_means_doing_it_again(tmp_path: Path) -> None:
    source = tmp_path / "a"
    source.write_text("1")
    step = Step("x", ("sluicegate", "data", str(source)), (source,), (), {"A": "1"})
    first = step.inputs_sha256(tmp_path)
    assert Step("x", step.argv, step.inputs, (), {"A": "2"}).inputs_sha256(tmp_path) != first
    assert Step("x", (*step.argv, "--force"), step.inputs, (), {"A": "1"}).inputs_sha256(tmp_path) != first
    source.write_text("2")
    assert step.inputs_sha256(tmp_path) != first
    source.write_text("1")
    assert step.inputs_sha256(tmp_path) == first


def test_the_plan_names_every_stage_and_its_budget() -> None:
    shown = table(DEMO)
    for stage in STAGES:
        assert f"{stage.number} {stage.name}" in shown
    assert "242" in shown
