"""The grammar: every manifest valid and clean, kept from badly to perfectly, few alike, a function of the seed."""

import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from sluicegate.data.k8s import near
from sluicegate.data.k8s.grammar import KINDS, LONGEST, RECIPES, Made, make
from sluicegate.data.k8s.grammar.house import LEAST, MOST, house
from sluicegate.data.k8s.grammar.practices import ASKS, practices
from sluicegate.data.k8s.grammar.schedules import schedule
from sluicegate.data.k8s.render import height, to_yaml
from sluicegate.k8s.checks import CHECKS, State
from sluicegate.k8s.objects import Object, objects, workloads
from sluicegate.k8s.parse import parse
from sluicegate.k8s.schema import check, kinds, resolved
from sluicegate.k8s.score import Judged, judge
from sluicegate.k8s.semantics import semantics
from sluicegate.k8s.semantics.numbers import schedule_fault

SEED, COUNT = 20, 900


@cache
def manifests() -> tuple[Made, ...]:
    return tuple(make(SEED, place) for place in range(COUNT))


@cache
def read() -> tuple[tuple[Object, ...], ...]:
    parsed = [parse(to_yaml(made.bodies)) for made in manifests()]
    assert not any(each.faults for each in parsed)
    return tuple(objects(each) for each in parsed)


@cache
def judged() -> tuple[Judged, ...]:
    return tuple(each for found in read() for each in judge(workloads(found)))


def seeded(seed: int | str) -> random.Random:
    return random.Random(seed)  # noqa: S311 (a choice of words, not a secret)


def parts(value: Any) -> Iterator[Any]:
    yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts(part)


def test_what_is_written_is_what_was_made() -> None:
    for made, found in zip(manifests(), read(), strict=True):
        assert [each.body for each in found] == list(made.bodies)


def test_every_object_is_strictly_valid() -> None:
    known = kinds(resolved())
    for place, found in enumerate(read()):
        for each in found:
            assert not check(each.body, each.api_version, each.kind, known).issues, (place, each.kind)


def test_every_manifest_is_semantically_clean() -> None:
    for place, found in enumerate(read()):
        assert not any(semantics(found)), (place, semantics(found))


@pytest.mark.parametrize(("seed", "place"), [(0, 0), (7, 19_999), (-3, 5), (2**70, 10**30)])
def test_a_manifest_is_a_function_of_seed_and_place(seed: int, place: int) -> None:
    random.seed(1)
    before, first = random.getstate(), make(seed, place)
    make(seed + 1, place)
    random.seed(2)
    assert make(seed, place) == first
    random.seed(1)
    assert random.getstate() == before
    assert make(seed + 1, place) != first != make(seed, place + 1)


def test_no_part_of_a_manifest_is_shared_with_another() -> None:
    """So that a consumer may change one place of one manifest."""
    seen: set[int] = set()
    for body in (body for made in manifests()[:100] for body in made.bodies):
        for part in parts(body):
            if isinstance(part, (dict, list)):
                assert id(part) not in seen
                seen.add(id(part))


def test_bodies_are_json() -> None:
    for made in manifests()[:200]:
        assert json.loads(json.dumps(made.bodies)) == list(made.bodies)


def test_exactly_the_named_kinds_come_out() -> None:
    found = Counter(each.kind for found in read() for each in found)
    assert set(found) == set(KINDS)
    assert found.most_common(1)[0][0] == "Deployment"
    assert found["Deployment"] < sum(found.values()) / 2


@pytest.mark.parametrize(
    "recipe", [recipe for _, recipe in RECIPES], ids=lambda recipe: f"{recipe.__module__}.{recipe.__name__}"
)
def test_every_recipe_is_clean_at_every_degree_of_care(recipe: Any) -> None:
    known = kinds(resolved())
    for place in range(12):
        rng = seeded(f"{recipe.__name__}/{place}")
        found = objects(parse(to_yaml(recipe(rng, house(rng)).bodies)))
        assert not any(check(each.body, each.api_version, each.kind, known).issues for each in found)
        assert not any(semantics(found))


def test_workloads_are_kept_from_not_at_all_to_perfectly() -> None:
    scores = [(each.workload.job, each.bp or 0.0) for each in judged()]
    shares = Counter(round(bp * 11) for job, bp in scores if not job)
    total = sum(shares.values())
    assert set(shares) == set(range(12))
    assert all(0.03 < count / total < 0.2 for count in shares.values()), shares
    assert {bp for job, bp in scores if job} >= {0.0, 1.0}


@pytest.mark.parametrize("place", range(len(CHECKS)), ids=[each.name for each in CHECKS])
def test_every_check_is_passed_and_failed(place: int) -> None:
    states = Counter(each.findings[place].state for each in judged())
    told = states[State.PASS] + states[State.FAIL]
    assert 0.1 < states[State.PASS] / told < 0.9


def test_practices_go_together() -> None:
    """Who sets what few set also sets what most set: else every manifest would be kept half."""
    drawn = [practices(seeded(place), seeded(-place).uniform(LEAST, MOST)) for place in range(1, 2000)]
    rare = [each for each in drawn if each.drop_all]
    for name in ASKS:
        share = sum(getattr(each, name) for each in drawn) / len(drawn)
        among = sum(getattr(each, name) for each in rare) / len(rare)
        assert among > share, name
    assert sum(each.pinned for each in rare) / len(rare) > 0.95


def test_sizes_are_those_of_files_that_people_write() -> None:
    lines = sorted(to_yaml(made.bodies).count("\n") for made in manifests())
    assert 6 <= lines[0] <= 12
    assert 30 <= lines[len(lines) // 2] <= 70
    assert 100 <= lines[-1] <= LONGEST


def test_height_is_the_lines_of_a_manifest() -> None:
    for made in manifests():
        assert len(made.bodies) - 1 + sum(map(height, made.bodies)) == to_yaml(made.bodies).count("\n")


def test_few_are_near_duplicates_though_names_are_masked() -> None:
    features = [near.of_manifest(made.bodies) for made in manifests()]
    sizes = Counter(near.clusters(features))
    assert sum(count for count in sizes.values() if count > 1) < 0.02 * COUNT
    across = near.across(features[::5], [each for place, each in enumerate(features) if place % 5])
    assert across.share < 0.0001
    assert across.highest[2] < 0.5


def test_purposes_can_stand_in_a_request() -> None:
    for made in manifests():
        assert re.fullmatch(r"[A-Za-z0-9][\w /,-]{4,79}", made.purpose), made.purpose
        assert "  " not in made.purpose
    assert len({made.purpose for made in manifests()}) > 0.7 * COUNT


def test_schedules_are_cron_and_said_in_words() -> None:
    drawn = [schedule(seeded(place)) for place in range(400)]
    assert not any(schedule_fault(each.text) for each in drawn)
    assert len({each.text for each in drawn}) > 150
    for each in drawn:
        if each.words == "monthly" and not each.text.startswith("@"):
            assert each.text.split()[2] != "*"


def test_secrets_hold_placeholders_alone() -> None:
    for made in manifests():
        for body in made.bodies:
            if body["kind"] == "Secret":
                assert "data" not in body
                assert all(
                    re.search(r"(?i)change|replace|placeholder|set-by-ci", text) for text in body["stringData"].values()
                )


def test_images_take_every_form() -> None:
    images = [
        container["image"]
        for each in judged()
        for _, container in each.workload.containers
        if isinstance(container["image"], str)
    ]
    last = [image.rsplit("/", 1)[-1] for image in images]
    for form in (r"[^:@]+", r"[^:@]+:latest", r"[^:@]+:v?\d+\.\d+\.\d+", r"[^@]+@sha256:[0-9a-f]{64}"):
        assert any(re.fullmatch(form, name) for name in last), form
    assert {image.split("/")[0] for image in images if "/" in image} >= {"ghcr.io", "quay.io", "registry.internal:5000"}


def test_probes_take_every_handler() -> None:
    probes = [
        container.get(field)
        for each in judged()
        for _, container in each.workload.containers
        for field in ("livenessProbe", "readinessProbe", "startupProbe")
    ]
    handlers = {handler for probe in probes if isinstance(probe, dict) for handler in probe}
    assert handlers >= {"httpGet", "tcpSocket", "exec", "grpc"}
