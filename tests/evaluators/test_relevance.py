import pytest

from answers import judged
from sluicegate.data.micro import SAMPLES
from sluicegate.evaluators.relevance import score
from sluicegate.records import Prediction, Sample, Score

NAME = "relevance"
PYTHON = "class Stack:\n    def push(self, item): ...\n\ndef area(width, height=1): return _helper(width)\n"
REACT = "export const Card = memo(({ title, onClose = f, ...rest }) => <p {...rest}>{title}</p>);"
EXPRESS = (
    "const app = express();\napp.get('/users/:id', (req, res) => res.status(200).json({}));\n"
    "app.route('/users').post((req, res) => res.sendStatus(201)).get(list);\n"
)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.scenario)
def test_the_micro_references_offer_what_their_prompts_ask_for(sample: Sample) -> None:
    def said(text: str) -> Score:
        return score(sample, Prediction(sample.id, "m", 0, text, 1, 0.1, "stop"))

    assert said(sample.completion) == Score(sample.id, "m", 0, NAME, 1.0, "")
    assert said("").value == 0.0
    nothing = {"python": "x = 1", "bugfix": "x = 1", "sql": "SELECT 1"}.get(sample.scenario, "f()")
    assert said(nothing).value == 0.0


@pytest.mark.parametrize(
    ("language", "prompt", "reference", "text", "value", "why"),
    [
        ("python", "Write area(width, height).", PYTHON, "def area(height, width): ...", 1.0, ""),
        ("python", "Write area(width, height).", PYTHON, "def area(w, height): ...", 2 / 3, "parameter area.width"),
        ("python", "Write area(width, height).", PYTHON, "area = 1 # def area(width, height)", 0.0, "function area"),
        ("python", "A Stack with push(item)", PYTHON, "class Stack:\n    def push(self, item): ...", 1.0, ""),
        ("python", "A Stack with push(item)", PYTHON, "class Stack: ...\ndef push(item): ...", 2 / 3,
         "method Stack.push"),
        ("python", "Areas!", PYTHON, "def area(): ...", None, "the prompt names nothing"),
        ("javascript", "Card with title and onClose", REACT, "function Card(props) { return props.title; }", 2 / 3,
         "prop Card.onClose"),
        ("tsx", "Card with title and onClose", REACT,
         "export function Card(props: P) { const { title, onClose } = props; return <p>{title}{onClose}</p>; }",
         1.0, ""),
        ("javascript", "GET /users/:id, POST /users: 201", EXPRESS, EXPRESS, 1.0, ""),
        ("javascript", "GET /users/:id, POST /users: 201", EXPRESS, EXPRESS.replace("post", "put"), 2 / 3,
         "route POST /users"),
        ("javascript", "POST /users: 201", EXPRESS, "// app.post('/users') 201\nf()", 0.0, "route POST /users"),
        ("javascript", "POST /users/archive", EXPRESS, "f()", None, "the prompt names nothing"),
        ("sql", "Names from Users", "SELECT name FROM users", "select U.NAME from USERS u", 1.0, ""),
        ("sql", "name, all users", "SELECT name FROM users", "SELECT name, id FROM users", 2 / 3, "columns 1"),
        ("sql", "name, all users", "SELECT name FROM users", "SELECT name FROM clients", 2 / 3, "table users"),
        ("sql", "x", "WITH own AS (SELECT a FROM t) SELECT a FROM own", "SELECT b FROM u", 1.0, ""),
        ("yaml", "x", "a: 1", "a: 1", None, "no parser for yaml"),
        ("python", "area", "", "x", None, "the sample has no reference answer"),
        ("python", "area", "def", "x", None, "the reference does not parse"),
        ("python", "area", PYTHON, "def area(", 0.0, "not python: line 1"),
    ],
)  # fmt: skip
def test_the_share_of_what_is_asked_for(
    *, language: str, prompt: str, reference: str, text: str, value: float | None, why: str
) -> None:
    said = judged(NAME, language, text, reference, prompt=prompt)
    assert said.value == (value if value is None else pytest.approx(value)), said.why
    assert why in said.why


def test_metadata_asks_too() -> None:
    assert judged(NAME, "python", "x = 1", PYTHON, prompt="x", inputs="area(width)").value == 0.0


def test_names_with_signs_of_patterns_are_taken_as_they_are() -> None:
    reference = "const $el = (a$b) => a$b;"
    assert judged(NAME, "javascript", reference, reference, prompt="$el(a$b)").value == 1.0
