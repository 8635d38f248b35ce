import pytest

from answers import REFERENCES, judged

NAME = "code_accuracy"
EQUAL: dict[str, list[tuple[str, str | None]]] = {
    "python": [
        ("def add(a, b):\n    '''Adds.'''\n    # sum\n    return (a +\n            b)\n", None),
        ("x = 'it\\'s'\n", 'x = "it\'s"'),
        ("def f(): pass", 'def f():\n    """Doc only."""\n'),
    ],
    "javascript": [
        ("function add(a,b){return (a+b)} // sum", None),
        ("const s = 'it\\'s', o = {'a': 1, b: [1, 2,],};", 'const s = "it\'s", o = { a: 1, b: [1, 2] }'),
        ("x => x", "(x) => x"),
        ("// one", "/* two */"),
        ("/* a */ f(a,\n  b,\n)\n;;", "f(a, b);"),
        ("<p className='a'>\n  hi\n  you {name}\n  {/* no */}\n</p>", '<p className="a">hi you {name}</p>'),
    ],
    "typescript": [("export const add = (a: number, b: number): number => (a + b)", None)],
    "tsx": [("export const Name = ({name}: {name: string}) => (\n  <p>\n    {name}\n  </p>\n)", None)],
    "sql": [
        ('select NAME, "total" from Orders where (total > 3); -- all', None),
        ("SELECT a AS b FROM t", "select a b from t"),
    ],
    "yaml": [
        ("metadata: {name: 'web'}\nkind: \"Pod\" # one", None),
        ("a: &x [1, 0x10]\nb: *x\n", "b: [1, 16]\na: [1, 16]\n"),
    ],
}
DIFFERENT: dict[str, list[tuple[str, str | None]]] = {
    "python": [
        ("def add(a, b):\n    return b + a\n", None),
        ("x = 1", "x = True"),
        ("x = 1", "x = 1.0"),
        ("x = '1'", "x = b'1'"),
        ("(a + b) * c", "a + b * c"),
        ("x = 1\n'text'", "x = 1"),
    ],
    "javascript": [
        ("function add(a, b) { return a - b; }", None),
        ("[, a]", "[a]"),
        ("[a, , b]", "[a, b]"),
        ("(a?.b).c", "a?.b.c"),
        ("for (;a;) {}", "for (a;;) {}"),
        ("`a`", "'a'"),
        ("`a`", "`b`"),
        ("`a `", "`a`"),
        ("`a${x}b`", "`a${x}c`"),
        ("/a/g", "/b/g"),
        ("/a/g", "/a/i"),
        ("<p>{a} {b}</p>", "<p>{a}{b}</p>"),
        ("<p>a&amp;</p>", "<p>a&lt;</p>"),
        ("x++", "x--"),
        ("++x", "x++"),
        ("let a", "const a = 0"),
        ("async () => 1", "() => 1"),
        ("a ||= b", "a &&= b"),
        ("<p>hi {a}</p>", "<p>hi{a}</p>"),
        ("(a + b) * c", "a + b * c"),
        ("x => ({})", "x => {}"),
        ("'\\n'", "'n'"),
    ],
    "tsx": [("export const Name = ({ name }: { name: string }) => <b>{name}</b>;", None)],
    "sql": [
        ("SELECT total, name FROM orders WHERE total > 3", None),
        ("SELECT 'A'", "SELECT 'a'"),
        ("SELECT '1'", "SELECT 1"),
        ("SELECT a FROM t; SELECT b FROM t", "SELECT a FROM t"),
        ("SELECT a FROM t ORDER BY a", "SELECT a FROM t ORDER BY a DESC"),
    ],
    "yaml": [
        ("kind: Pod\nmetadata:\n  name: db\n", None),
        ("a: 1", "a: '1'"),
        ("a: [1, 2]", "a: [2, 1]"),
        ("a: 1\n---\nb: 1", "a: 1"),
    ],
}


@pytest.mark.parametrize(("language", "text", "reference"), [(name, *pair) for name in EQUAL for pair in EQUAL[name]])
def test_layout_comments_quotes_and_key_order_do_not_count(language: str, text: str, reference: str | None) -> None:
    said = judged(NAME, language, text, reference)
    assert (said.value, said.metric, said.draw) == (1.0, NAME, 2), said.why


@pytest.mark.parametrize(
    ("language", "text", "reference"), [(name, *pair) for name in DIFFERENT for pair in DIFFERENT[name]]
)
def test_another_program_is_wrong_whichever_way_round(language: str, text: str, reference: str | None) -> None:
    wanted = REFERENCES[language] if reference is None else reference
    for one, other in ((text, wanted), (wanted, text)):
        said = judged(NAME, language, one, other)
        assert (said.value, said.why) == (0.0, "another program than the reference")


@pytest.mark.parametrize("language", REFERENCES)
def test_the_reference_is_right_and_what_is_no_program_is_wrong(language: str) -> None:
    assert judged(NAME, language, f"```\n{REFERENCES[language]}```").value == 1.0
    assert judged(NAME, language, " \n").why == "empty answer"
    said = judged(NAME, language, "{ [ : (")
    assert said.value == 0.0
    assert said.why.startswith(f"not {language}")


def test_what_cannot_be_judged_has_no_value() -> None:
    assert judged(NAME, "rust", "fn f() {}").value is None
    assert judged(NAME, "python", "x = 1", "").why == "the sample has no reference answer"
    assert judged(NAME, "python", "x = 1", "x =").why.startswith("the reference does not parse: not python: line 1")


@pytest.mark.parametrize(
    "text",
    ["a: 1\na: 1\n", "&a [*a]", "a: &a [x, x, x]\n" + "".join(f"{n}: &{n} [{', '.join(['*' + p] * 9)}]\n"
                                                             for p, n in zip("abcdefg", "bcdefgh", strict=True))],
)  # fmt: skip
def test_yaml_that_means_two_things_or_never_ends_is_no_document(text: str) -> None:
    said = judged(NAME, "yaml", text)
    assert said.value == 0.0
    assert said.why.startswith("not yaml")


def test_the_dialect_of_sql_is_told_by_meta() -> None:
    text = "SELECT TOP 3 a FROM t"
    assert judged(NAME, "sql", text, text, dialect="tsql").value == 1.0
    assert judged(NAME, "sql", text, text, dialect="no such").value is None
