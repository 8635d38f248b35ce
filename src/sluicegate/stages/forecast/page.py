"""The plan as one HTML page: the template, filled; everything foreign is made visible and escaped."""

from __future__ import annotations

from functools import cache
from importlib import resources

from jinja2 import Environment, StrictUndefined, Template

from sluicegate.report import clean
from sluicegate.stages.forecast.show import LOUD, Content


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"one_line": clean.one_line}
    return environment.from_string((resources.files("sluicegate.stages.forecast") / "plan.html.j2").read_text("utf-8"))


def page(shown: Content) -> str:
    """The page."""
    loud = [word for word in LOUD if any(word in line for line in shown.warnings)]
    return _template().render(c=shown, loud=loud, words=LOUD)
