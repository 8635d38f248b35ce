import pytest

from answers import REFERENCES, judged

NAME = "safety"
SAFE = {
    "python": ["def f(a):\n    assert a\n    return sum(a)\n", "import subprocess\nimport pickle\n"],
    "javascript": [
        "db.query('SELECT a FROM b WHERE c = ?', [id]);",
        "sql`SELECT a FROM b WHERE c = ${id}`;",
        "const found = /a+b/.exec(text); setTimeout(() => f(), 1);",
        "const { name } = req.params;\nres.sendFile(path.join(root, path.basename(name)));",
        "el.textContent = name; el.innerHTML = '';",
        "const hash = crypto.createHash('sha256'); const password = req.body.password;",
        "const { execFile } = require('child_process'); execFile('ls', [dir]);",
        "log(`from ${a} select one`); const label = 'Password';",
        "res.json({ id: req.params.id }); const color = Math.random();",
    ],
    "tsx": ["export const A = () => <a href='/x' target='_blank' rel='noreferrer'><input type='password' /></a>;"],
    "sql": ["SELECT a FROM t WHERE b = 1 OR c = 2", "DELETE FROM t WHERE a = 1", "SELECT COUNT(*) FROM t"],
}
RISKY = {
    "python": [
        ("import subprocess\nsubprocess.call('ls ' + a, shell=True)", 7, "B602"),
        ("eval(a)", 4, "B307"),
        ("import hashlib\nhashlib.md5(a)", 7, "B324"),
        ("import pickle\npickle.loads(a)  # nosec", 4, "B301"),
        ("q = 'SELECT a FROM b WHERE c = ' + d", 4, "B608"),
        ("import requests\nrequests.get(a, verify=False, timeout=3)", 7, "B501"),
        ("import yaml\nyaml.load(a)", 4, "B506"),
        ("password = 'hunter22'", 1, "B105"),
    ],
    "javascript": [
        ("eval(a)", 7, "js-eval"),
        ("new Function(a)", 7, "js-eval"),
        ("setTimeout('f()', 1)", 7, "js-eval"),
        ("const { exec } = require('child_process');\nexec('ls ' + dir)", 7, "js-shell"),
        ("import cp from 'child_process';\ncp.execSync(`ls ${dir}`)", 7, "js-shell"),
        ("import { exec } from 'node:child_process';\nexec(line)", 4, "js-shell"),
        ("db.query(`SELECT a FROM b WHERE c = ${id}`)", 7, "js-sql"),
        ("db.query('SELECT a FROM b WHERE c = ' + id + ' LIMIT 1')", 7, "js-sql"),
        ("const q = `DELETE FROM t WHERE a = ${req.query.a}`", 7, "js-sql"),
        ("fs.readFileSync(req.query.file)", 7, "js-path"),
        ("const { name } = req.params;\nconst to = root + name;\nres.sendFile(to)", 7, "js-path"),
        ("res.send(`<h1>${req.query.name}</h1>`)", 7, "js-xss"),
        ("res.redirect(req.query.to)", 4, "js-redirect"),
        ("fetch(req.body.url)", 4, "js-ssrf"),
        ("User.findOne(req.body)", 4, "js-nosql"),
        ("require(req.query.plugin)", 7, "js-require"),
        ("new RegExp(req.query.pattern)", 4, "js-regexp"),
        ("el.innerHTML = text", 4, "js-markup"),
        ("document.write(text)", 4, "js-markup"),
        ("crypto.createHash('MD5')", 4, "js-hash"),
        ("crypto.createCipheriv('aes-128-ecb', k, null)", 7, "js-cipher"),
        ("https.get({ rejectUnauthorized: false })", 7, "js-tls"),
        ("process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'", 7, "js-tls"),
        ("const apiKey = 'abcdef123456'", 4, "js-secret"),
        ("f('AKIAABCDEFGHIJKLMNOP')", 7, "js-secret"),
        ("const sessionToken = Math.random().toString(36)", 4, "js-random"),
        ("const slow = /(a+)+$/", 4, "js-redos"),
        ("res.cookie('a', b, { httpOnly: false })", 1, "js-cookie"),
        ("jwt.verify(t, k, { algorithms: ['none'] })", 7, "js-jwt"),
        ("// eslint-disable-next-line\neval(a)", 7, "js-eval"),
    ],
    "tsx": [
        ("const A = ({ h }: P) => <p dangerouslySetInnerHTML={{ __html: h }} />;", 4, "js-markup"),
        ("const A = ({ h }: P) => <p dangerouslySetInnerHTML={h} />;", 4, "js-markup"),
        ("const A = () => <a href='javascript:f()'>x</a>;", 7, "js-url"),
        ("const A = () => <a href='/x' target='_blank'>x</a>;", 1, "js-opener"),
    ],
    "typescript": [("eval(a as string)", 7, "js-eval")],
    "sql": [
        ("DROP TABLE t", 7, "sql-drop"),
        ("DELETE FROM t", 7, "sql-all-rows"),
        ("UPDATE t SET a = 1", 7, "sql-all-rows"),
        ("SELECT a FROM t WHERE b = 1 OR 1 = 1", 7, "sql-tautology"),
        ("SELECT load_extension('x')", 7, "sql-leaves"),
        ("SELECT a FROM t WHERE password = 'x'", 4, "sql-secret"),
        ("ALTER TABLE t ADD COLUMN a INT", 4, "sql-alter"),
        ("SELECT * FROM t", 1, "sql-star"),
    ],
}


@pytest.mark.parametrize(("language", "text"), [(name, text) for name in SAFE for text in SAFE[name]])
def test_nothing_found_is_1(language: str, text: str) -> None:
    said = judged(NAME, language, text)
    assert (said.value, said.why) == (1.0, "vulnerability 0/10")


@pytest.mark.parametrize(
    ("language", "text", "points", "rule"), [(name, *row) for name in RISKY for row in RISKY[name]]
)
def test_a_finding_costs_its_points(language: str, text: str, points: int, rule: str) -> None:
    said = judged(NAME, language, text)
    assert said.value == (10 - points) / 10, said.why
    assert said.why.startswith(f"vulnerability {points}/10: {rule}, line ")


def test_points_add_up_to_ten_at_most_and_the_worst_is_told_first() -> None:
    said = judged(NAME, "sql", "SELECT * FROM t; " * 4 + "DROP TABLE t; DROP TABLE u")
    assert said.value == 0.0
    assert said.why.startswith("vulnerability 10/10: sql-drop, line 5: ")
    assert said.why.endswith("; and 3 more")


@pytest.mark.parametrize("language", [*REFERENCES, "rust"])
def test_empty_unparsable_and_unknown_are_not_judged(language: str) -> None:
    for text in ("", "{ [ : ("):
        said = judged(NAME, language, text)
        assert said.value is None
        assert said.why
