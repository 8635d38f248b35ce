"""One answer to one sample, as the tests of the evaluators ask for it."""

from sluicegate.evaluators import load
from sluicegate.records import Prediction, Sample, Score

REFERENCES = {
    "python": "def add(a, b):\n    return a + b\n",
    "javascript": "function add(a, b) {\n  return a + b;\n}\n",
    "typescript": "export const add = (a: number, b: number): number => a + b;\n",
    "tsx": "export const Name = ({ name }: { name: string }) => <p>{name}</p>;\n",
    "sql": "SELECT name, total FROM orders WHERE total > 3\n",
    "yaml": "kind: Pod\nmetadata:\n  name: web\n",
}


def judged(metric: str, language: str, text: str, reference: str | None = None, **fields: str) -> Score:
    """What one evaluator says of an answer; `fields` are of the sample, others of its meta."""
    known = {name: fields.pop(name) for name in ("scenario", "context", "tests") if name in fields}
    prompt = fields.pop("prompt", "Write it.")
    wanted = REFERENCES.get(language, "") if reference is None else reference
    sample = Sample("s", prompt, wanted, meta={"language": language, **fields}, **known)
    return load([metric])[0].score(sample, Prediction("s", "m", 2, text, 1, 0.1, "stop"))
