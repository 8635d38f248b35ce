"""SQL answers: right ones of any shape pass, wrong ones and attacks do not."""

from __future__ import annotations

import pytest

from sluicegate.evaluators.functional_correctness import score
from sluicegate.records import Prediction, Sample
from sluicegate.sandbox import Limits, sql
from sluicegate.sandbox.sql_checks import difference, orders

pytestmark = pytest.mark.process

TESTS = """\
-- schema
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, cents INTEGER);
-- database small
INSERT INTO customers VALUES (1, 'Ann'), (2, 'Bob'), (3, 'Cid');
INSERT INTO orders VALUES (1, 1, 500), (2, 1, 250), (3, 2, 100);
-- database other
INSERT INTO customers VALUES (7, 'Zoe'), (8, 'Yan');
INSERT INTO orders VALUES (1, 7, 5), (2, 8, 700);
-- rows
["Yan", 700]
["Zoe", 5]
"""
RIGHT = """\
SELECT c.name, COALESCE(SUM(o.cents), 0) AS total FROM customers c LEFT JOIN orders o ON o.customer_id = c.id
GROUP BY c.id ORDER BY total DESC, c.name;
"""
GENEROUS = Limits(wall_s=60, cpu_s=30)


def outcome_of(answer: str, tests: str = TESTS, reference: str = RIGHT) -> tuple[str, str]:
    outcome = sql.run(answer, tests, reference=reference, limits=GENEROUS)
    assert sql.run(RIGHT, TESTS, reference=RIGHT, limits=GENEROUS).kind == "pass"
    return outcome.kind, outcome.why


@pytest.mark.parametrize(
    "answer",
    [
        RIGHT,
        RIGHT.rstrip().rstrip(";"),
        "-- totals\n" + RIGHT + "-- the end\n/* really */",
        "SELECT name, (SELECT TOTAL(cents) FROM orders WHERE customer_id = customers.id) AS t FROM customers "
        "ORDER BY t DESC, name",
        "WITH t AS (SELECT customer_id, SUM(cents) AS s FROM orders GROUP BY 1) SELECT name, IFNULL(s, 0) FROM "
        "customers "
        "LEFT JOIN t ON customer_id = customers.id ORDER BY 2 DESC, 1",
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 10) "
        "SELECT name, COALESCE(SUM(cents), 0) FROM customers LEFT JOIN orders ON customer_id = customers.id "
        "WHERE (SELECT COUNT(*) FROM n) = 10 GROUP BY customers.id ORDER BY 2 DESC, 1",
    ],
)
def test_right_answers_of_any_shape_pass(answer: str) -> None:
    assert outcome_of(answer) == ("pass", "")


@pytest.mark.parametrize(
    ("answer", "kind", "why"),
    [
        (RIGHT.replace("DESC", "ASC"), "fail", "database small: row 1: wanted ('Ann', 750), seen ('Cid', 0)"),
        (RIGHT.replace("LEFT JOIN", "JOIN"), "fail", "database small: wanted 3 rows, seen 2"),
        (RIGHT.replace("c.name, COALESCE", "c.name, 1, COALESCE"), "fail", "database small: wanted 2 columns, seen 3"),
        ("VALUES ('Ann', 750), ('Bob', 100), ('Cid', 0)", "fail", "database other: wanted 2 rows, seen 3"),
        (RIGHT.replace("COALESCE(SUM(o.cents), 0)", "SUM(o.cents) || ''"), "fail", "database small: row 1"),
        ("SELECT", "error", "OperationalError: "),
        ("SELECT nix FROM customers", "error", "OperationalError: no such column: nix"),
        ("-- nothing", "error", "not a query"),
    ],
)
def test_wrong_answers_fail_with_their_reason(answer: str, kind: str, why: str) -> None:
    seen = outcome_of(answer)
    assert (seen[0], seen[1].startswith(why)) == (kind, True), seen


REFUSED = {
    "DROP": "DROP TABLE customers",
    "DELETE": "DELETE FROM customers",
    "INSERT": "INSERT INTO customers VALUES (9, 'x') RETURNING name, id",
    "CREATE": "CREATE TEMP TABLE x AS SELECT 1",
    "CREATE VIEW": "CREATE TEMP VIEW x AS SELECT 1",
    "ATTACH": "ATTACH DATABASE '/tmp/x' AS x",
    "ATTACH in memory": "ATTACH ':memory:' AS x",
    "VACUUM INTO": "VACUUM INTO '/tmp/x'",
    "PRAGMA": "PRAGMA table_info(customers)",
    "PRAGMA that writes": "PRAGMA writable_schema = 1",
    "PRAGMA as a table": "SELECT * FROM pragma_database_list",
    "load_extension": "SELECT load_extension('/usr/lib/x')",
    "readfile": "SELECT readfile('/etc/passwd'), 1",
    "writefile": "SELECT writefile('/tmp/x', 'x'), 1",
    "fts3_tokenizer": "SELECT fts3_tokenizer('simple'), 1",
    "BEGIN": "BEGIN",
    "EXPLAIN": "EXPLAIN SELECT 1",
    "second statement": RIGHT + "DROP TABLE customers;",
    "second query": "SELECT 1;" + RIGHT,
    "parameter": "SELECT ?, 1",
    "NUL": "SELECT 1\x00, 2",
    "half a character": "SELECT '\ud800'",
    "depth": "SELECT " + "(" * 5000 + "1" + ")" * 5000,
    "many terms": "SELECT 1" + " UNION ALL SELECT 1" * 5000,
    "slow pattern": "SELECT 'x' LIKE '" + "%_" * 2000 + "', 1",
    "printf of a hundred million": "SELECT printf('%.*c', 100000000, 'x'), 1",
    "padding to a hundred million": "SELECT length(printf('%100000000d', 1)), 1",
    "long text": "SELECT '" + "x" * 200_000 + "'",
}


@pytest.mark.parametrize("answer", REFUSED.values(), ids=REFUSED)
def test_what_is_not_one_harmless_query_is_refused(answer: str) -> None:
    kind, why = outcome_of(answer)
    assert kind in ("error", "limit", "fail"), why
    assert why.isprintable()


LETTERS = [f"t {letter * 2}" for letter in "abcdefghijklmnopqrstuvwxyz"]
FLOODS = {
    "endless recursion": "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT MAX(x), 1 FROM n",
    "endless rows": "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x, 1 FROM n",
    "a large product": "WITH t(x) AS (VALUES (1), (2), (3)) SELECT COUNT(*), 1 FROM " + ", ".join(LETTERS),  # noqa: S608
    "a huge blob": "SELECT length(zeroblob(1000000000)), 1",
    "a huge replacement": "SELECT length(replace(hex(zeroblob(200000)), '0', hex(zeroblob(200000)))), 1",
    "a text that doubles": (
        "WITH RECURSIVE d(t) AS (SELECT 'x' UNION ALL SELECT t || t FROM d) SELECT MAX(LENGTH(t)), 1 FROM d"
    ),
}


@pytest.mark.parametrize("answer", FLOODS.values(), ids=FLOODS)
def test_floods_are_cut_off(answer: str) -> None:
    kind, why = outcome_of(answer)
    assert kind in ("timeout", "limit", "memory"), (kind, why)


@pytest.mark.parametrize(
    ("tests", "reference", "why"),
    [
        ("", RIGHT, "no line `-- database NAME`"),
        ("CREATE TABLE t(x);", RIGHT, "line 1: wanted a line `-- schema`"),
        ("-- rows\n[1]", RIGHT, "line 1: rows before the first database"),
        ("-- database a\n-- rows\n{}", RIGHT, "line 3: a row is a JSON list"),
        ("-- database a\n-- rows\n[1", RIGHT, "line 3: a row is not JSON"),
        ("-- database a\nCREATE TABEL t(x);", RIGHT, "database a: near"),
        (TESTS, "SELECT x", "the reference on database small: no such column: x"),
        (TESTS, RIGHT.replace("DESC", "ASC"), "the reference on database other: row 1: wanted ('Yan', 700)"),
        ("-- database a\nCREATE TABLE t(x);", "", "database a has no rows, and there is no reference"),
    ],
)
def test_tests_that_cannot_be_run_are_told_apart(tests: str, reference: str, why: str) -> None:
    kind, said = outcome_of("SELECT 1", tests, reference)
    assert (kind, why in said) == ("tests", True), said


def test_order_counts_only_where_the_reference_orders() -> None:
    tests = "-- database a\nCREATE TABLE t(x); INSERT INTO t VALUES (1), (2), (NULL), (2);\n"
    assert outcome_of("SELECT x FROM t ORDER BY x DESC", tests, "SELECT x FROM t") == ("pass", "")
    assert outcome_of("SELECT x FROM t ORDER BY x DESC", tests, "SELECT x FROM t ORDER BY x")[0] == "fail"
    assert outcome_of("SELECT DISTINCT x FROM t", tests, "SELECT x FROM t")[0] == "fail"


def test_hard_coded_rows_need_no_reference() -> None:
    tests = "-- database a\nCREATE TABLE t(x);\nINSERT INTO t VALUES (2), (1);\n-- rows\n[1]\n[2]\n"
    assert outcome_of("SELECT x FROM t", tests, "") == ("pass", "")
    assert outcome_of("SELECT x + 1 FROM t", tests, "")[0] == "fail"


@pytest.mark.parametrize(
    ("one", "other", "is_equal"),
    [
        ((1,), (1.0,), True),
        ((0.1 + 0.2,), (0.3,), True),
        ((1,), ("1",), False),
        ((None,), (0,), False),
        (("",), (None,), False),
        ((b"a",), ("a",), False),
        ((2**60,), (2**60 + 1,), False),
        ((2**60,), (2.0**60,), True),
    ],
)
def test_values_are_compared_by_type_and_nine_digits(one: tuple[object], other: tuple[object], is_equal: bool) -> None:
    assert (difference([one], [other], is_ordered=False) == "") == is_equal


def test_whole_numbers_that_share_nine_digits_are_told_apart_in_any_order() -> None:
    wanted = [(1_700_000_000_000 + n,) for n in range(3)]
    assert difference(wanted, wanted[::-1], is_ordered=False) == ""
    assert difference(wanted, [(float(n),) for (n,) in wanted[::-1]], is_ordered=False) == ""
    assert difference(wanted, [*wanted[:2], (1_700_000_000_003,)], is_ordered=False) == (
        "row 3: wanted (1700000000002,), seen (1700000000003,)"
    )


@pytest.mark.parametrize(
    ("query", "is_ordered"),
    [
        ("select 1 order by 1", True),
        ("select 'order by' from t", False),
        ('select "order" by from t', False),
        ("select x from (select x from t order by x) limit 3", False),
        ("select row_number() over (order by x) from t", False),
        ("select a from t union select b from t\nORDER /* so */ BY\n1", True),
        ("select [order by] from t -- order by", False),
        ("select 'it''s' from t order by 1", True),
    ],
)
def test_an_order_is_seen_where_it_is_the_querys_own(query: str, is_ordered: bool) -> None:
    assert orders(query) == is_ordered


def test_the_evaluator_runs_sql_against_the_samples_completion() -> None:
    sample = Sample("s", "p", RIGHT, scenario="sql", tests=TESTS)
    answers = {f"```sql\n{RIGHT}```": 1.0, "SELECT 1, 2": 0.0}
    for text, value in answers.items():
        assert score(sample, Prediction("s", "m", 0, text, 1, 0.1, "stop")).value == value
