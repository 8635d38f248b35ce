"""Risks of JavaScript, JSX, TypeScript and TSX, in browsers, Node and Express: own rules on the syntax tree.

What comes from a request (`req.params`, `query`, `body`, `headers`, `cookies`, and names that are made from it) is
followed from one name to the next in the order of the source, through no function and no object. `path.basename`,
`Number`, `parseInt`, `encodeURIComponent` and the like end the trail. Comments that switch linters off are comments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from sluicegate.evaluators.risks import HIGH, LOW, MEDIUM, Risk
from sluicegate.evaluators.syntax import trees
from sluicegate.evaluators.syntax.trees import Node

SQL: Final = re.compile(
    r"\s*(select\s.+\sfrom\s|select\s.+\sfrom$|insert\s+into\s|update\s.+\sset\s|delete\s+from\s|drop\s+table\s)",
    re.I | re.S,
)
SECRET_NAME: Final = re.compile(r"(passw(or)?d|secret|api_?key|access_?token|auth_?token|private_?key)$", re.I)
SECRET_TEXT: Final = re.compile(
    r"AKIA[0-9A-Z]{16}|-----BEGIN [A-Z ]*PRIVATE KEY-----|\bghp_[A-Za-z0-9]{30,}"
    r"|\bsk[-_](live|test|proj)?[-_]?[A-Za-z0-9]{20,}"
)
SECRET_USE: Final = re.compile(r"token|secret|passw(or)?d|session|otp|nonce|salt", re.I)
NESTED_REPEAT: Final = re.compile(r"\((?:[^()\\]|\\.)*[+*](?:[^()\\]|\\.)*\)[+*{]")
REQUESTS: Final = frozenset(("req", "request"))
FROM_REQUEST: Final = frozenset(("params", "query", "body", "headers", "cookies", "hostname", "url", "originalUrl"))
HARMLESS: Final = frozenset(("basename", "Number", "parseInt", "parseFloat", "encodeURIComponent", "escape", "Boolean",
                             "sanitize", "escapeHtml", "includes", "has", "indexOf"))  # fmt: skip
FILES: Final = frozenset((
    "readFile", "readFileSync", "writeFile", "writeFileSync", "appendFile", "appendFileSync", "createReadStream",
    "createWriteStream", "unlink", "unlinkSync", "rm", "rmSync", "readdir", "readdirSync", "sendFile", "download",
))  # fmt: skip
PATHS: Final = frozenset(("path.join", "path.resolve"))
SHELLS: Final = frozenset(("exec", "execSync"))
WEAK_HASHES: Final = frozenset(("md5", "sha1", "md4", "ripemd160"))
WEAK_CIPHERS: Final = re.compile(r"^(des|rc4|rc2|bf)|-ecb$", re.I)
FINDERS: Final = frozenset(
    ("find", "findOne", "findOneAndUpdate", "updateOne", "updateMany", "deleteOne", "deleteMany")
)
FETCHERS: Final = frozenset(("fetch", "axios", "axios.get", "axios.post", "got", "http.get", "https.get"))
MARKUP: Final = frozenset(("innerHTML", "outerHTML"))


def risks(language: str, text: str) -> list[Risk]:
    """The findings in a program, by line.

    Raises:
        UnparsableError: not a program of the language, too long or too deep.
    """
    root = trees.tree(language, text)
    program = _Program(root)
    found = (risk for node in root.walk() for rule in RULES.get(node.kind, ()) for risk in rule(node, program))
    return sorted(set(found))


class _Program:
    """What the rules have to know beyond a node: names made from a request, and whether shells are imported."""

    def __init__(self, root: Node) -> None:
        self.names: set[str] = set()
        self.shells = any(node.kind == "string" and "child_process" in node.text for node in root.walk())
        for node in root.walk():
            if node.kind in ("variable_declarator", "assignment_expression"):
                value = node.child("value") or node.child("right")
                target = node.child("name") or node.child("left")
                if value is not None and target is not None and self.is_from_request(value):
                    self.names.update(_declared(target))

    def is_from_request(self, node: Node) -> bool:
        """Whether a value, or a part of it, comes from a request, and nothing made it harmless."""
        waiting = [node]
        while waiting:
            one = waiting.pop()
            if one.kind == "call_expression" and _last(_callee(one)) in HARMLESS:
                continue
            if one.kind in ("identifier", "shorthand_property_identifier") and one.text in self.names:
                return True
            if one.kind == "member_expression" and _is_request(one):
                return True
            if one.kind not in FUNCTIONS:
                waiting.extend(one.children)
        return False


FUNCTIONS: Final = frozenset(("arrow_function", "function_expression", "function", "function_declaration"))
Rule = Callable[[Node, _Program], Iterator[Risk]]


def _declared(target: Node) -> list[str]:
    kinds = ("identifier", "shorthand_property_identifier_pattern")
    return [node.text for node in target.walk() if node.kind in kinds]


def _is_request(node: Node) -> bool:
    parts = node.source().replace("?.", ".").split(".")
    if parts[0] == "ctx":
        parts = parts[1:]
    return len(parts) > 1 and parts[0] in REQUESTS and parts[1].split("[")[0] in FROM_REQUEST


def _callee(call: Node) -> str:
    """What is called, as text without blanks: `fs.readFile`."""
    function = call.child("function") or call.child("constructor")
    return function.source() if function is not None else ""


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _arguments(call: Node) -> list[Node]:
    given = call.child("arguments")
    return [node for node in given.children if node.named and node.kind != "comment"] if given is not None else []


def _is_made_up(node: Node) -> bool:
    """A template with a value in it, or a sum that is not of literals only."""
    if node.kind == "template_string":
        return any(child.kind == "template_substitution" for child in node.children)
    if node.kind == "binary_expression":
        return any(child.kind == "+" for child in node.children) and any(
            part.kind in ("identifier", "member_expression", "call_expression", "template_substitution")
            for part in node.walk()
        )
    return node.kind == "parenthesized_expression" and _is_made_up(node.children[1])


def _is_literal(node: Node) -> bool:
    return node.kind in ("string", "number", "regex", "null") or (
        node.kind == "template_string" and not _is_made_up(node)
    )


def _said(node: Node) -> str:
    """The literal text in an expression; a value stands as a question mark."""
    if node.kind == "string":
        return node.text[1:-1]
    if node.kind == "template_substitution":
        return "?"
    if not node.children:
        return "?" if node.kind in ("identifier", "property_identifier") else "" if node.kind in "+`" else node.text
    return "".join(_said(child) for child in node.children)


def _evaluates(call: Node, program: _Program) -> Iterator[Risk]:
    name, given = _callee(call), _arguments(call)
    if not given:
        return
    if name in ("eval", "Function", "window.eval", "globalThis.eval", "vm.runInNewContext", "vm.runInThisContext"):
        yield Risk(call.line, "js-eval", HIGH, f"{name} runs text as a program")
    if _last(name) in ("setTimeout", "setInterval") and (given[0].kind == "string" or _is_made_up(given[0])):
        yield Risk(call.line, "js-eval", HIGH, f"{name} runs text as a program")
    if name == "require" and program.is_from_request(given[0]):
        yield Risk(call.line, "js-require", HIGH, "a request says which module is loaded")
    if _last(name) == "RegExp" and program.is_from_request(given[0]):
        yield Risk(call.line, "js-regexp", MEDIUM, "a request says which pattern is run")


def _starts_programs(call: Node, program: _Program) -> Iterator[Risk]:
    name, given = _callee(call), _arguments(call)
    owner = name.rpartition(".")[0]
    shell = _last(name) in SHELLS and program.shells and (not owner or owner in ("cp", "child_process", "childProcess")
                                                          or owner.startswith("require("))  # fmt: skip
    if shell and given and not _is_literal(given[0]):
        points = HIGH if _is_made_up(given[0]) or program.is_from_request(given[0]) else MEDIUM
        yield Risk(call.line, "js-shell", points, f"{name} runs a command line that is put together")
    if _last(name) in ("spawn", "spawnSync", "execFile") and program.shells and "shell:true" in call.source():
        yield Risk(call.line, "js-shell", MEDIUM, f"{name} with a shell")


def _reaches_files(call: Node, program: _Program) -> Iterator[Risk]:
    name, given = _callee(call), _arguments(call)
    if (_last(name) in FILES or name in PATHS) and any(program.is_from_request(one) for one in given[:3]):
        yield Risk(call.line, "js-path", HIGH, f"a request says which file {name} reaches")


def _answers(call: Node, program: _Program) -> Iterator[Risk]:
    name, given = _callee(call), _arguments(call)
    if not given:
        return
    if _last(name) == "redirect" and program.is_from_request(given[-1]):
        yield Risk(call.line, "js-redirect", MEDIUM, "a request says where to go")
    if (
        _last(name) in ("send", "write", "end")
        and _is_made_up(given[0])
        and "<" in _said(given[0])
        and program.is_from_request(given[0])
    ):
        yield Risk(call.line, "js-xss", HIGH, "a request's text is sent as markup")
    if name in FETCHERS and program.is_from_request(given[0]):
        yield Risk(call.line, "js-ssrf", MEDIUM, "a request says which address is read")
    if _last(name) in FINDERS and given[0].kind == "member_expression" and _is_request(given[0]):
        yield Risk(call.line, "js-nosql", MEDIUM, "a request is the query")


def _writes_markup(call: Node, program: _Program) -> Iterator[Risk]:
    name, given = _callee(call), _arguments(call)
    if name in ("document.write", "document.writeln") and given and not _is_literal(given[0]):
        yield Risk(call.line, "js-markup", MEDIUM, "document.write of a value")
    if _last(name) == "insertAdjacentHTML" and len(given) > 1 and not _is_literal(given[1]):
        yield Risk(call.line, "js-markup", MEDIUM, "insertAdjacentHTML of a value")


def _encrypts(call: Node, program: _Program) -> Iterator[Risk]:
    name, given = _last(_callee(call)), _arguments(call)
    told = given[0].text[1:-1].lower() if given and given[0].kind == "string" else ""
    if name in ("createHash", "createHmac") and told in WEAK_HASHES:
        yield Risk(call.line, "js-hash", MEDIUM, f"{told} is broken")
    if name in ("createCipher", "createDecipher") or (
        name in ("createCipheriv", "createDecipheriv") and WEAK_CIPHERS.search(told)
    ):
        yield Risk(call.line, "js-cipher", HIGH, f"{told or name} is broken")


def _queries(node: Node, program: _Program) -> Iterator[Risk]:
    parent = node.parent
    tagged = parent is not None and parent.kind == "call_expression" and node.field == "arguments"
    inner = parent is not None and parent.kind == "binary_expression"
    if not tagged and not inner and _is_made_up(node) and SQL.match(_said(node)):
        yield Risk(node.line, "js-sql", HIGH, "SQL that is put together from values")


def _assigns(node: Node, program: _Program) -> Iterator[Risk]:
    target, value = node.child("left"), node.child("right")
    if target is None or value is None:
        return
    name = _last(target.source())
    if name in MARKUP and not _is_literal(value):
        yield Risk(node.line, "js-markup", MEDIUM, f"{name} of a value")
    if name == "NODE_TLS_REJECT_UNAUTHORIZED" and value.source().strip("'\"") == "0":
        yield Risk(node.line, "js-tls", HIGH, "certificates are not checked")
    yield from _keeps_secret(name, value)


def _declares(node: Node, program: _Program) -> Iterator[Risk]:
    name, value = node.child("name"), node.child("value")
    if name is not None and value is not None:
        yield from _keeps_secret(name.text, value)


def _keeps_secret(name: str, value: Node) -> Iterator[Risk]:
    text = value.text[1:-1] if value.kind == "string" else ""
    if SECRET_NAME.search(name) and len(text) >= 6 and " " not in text:
        yield Risk(value.line, "js-secret", MEDIUM, f"the secret {name} is in the text")
    random = any(_callee(call) == "Math.random" for call in value.walk() if call.kind == "call_expression")
    if SECRET_USE.search(name) and random:
        yield Risk(value.line, "js-random", MEDIUM, f"{name} can be guessed: Math.random")


def _sets(node: Node, program: _Program) -> Iterator[Risk]:
    key, value = node.child("key"), node.child("value")
    if key is None or value is None:
        return
    name, said = key.source().strip("'\""), value.source()
    if name == "rejectUnauthorized" and said == "false":
        yield Risk(node.line, "js-tls", HIGH, "certificates are not checked")
    if name in ("httpOnly", "secure") and said == "false":
        yield Risk(node.line, "js-cookie", LOW, f"a cookie without {name}")
    if name == "algorithms" and "none" in said.lower():
        yield Risk(node.line, "js-jwt", HIGH, "a token without a signature")
    if name == "__html" and not _is_literal(value):
        yield Risk(node.line, "js-markup", MEDIUM, "dangerouslySetInnerHTML of a value")
    yield from _keeps_secret(name, value)


def _marks_up(node: Node, program: _Program) -> Iterator[Risk]:
    name = node.children[0].source()
    said = node.children[-1].source().strip("'\"{}`").strip().lower()
    if name == "dangerouslySetInnerHTML" and "__html:" not in node.source():
        yield Risk(node.line, "js-markup", MEDIUM, "dangerouslySetInnerHTML of a value")
    if name in ("href", "src") and said.startswith("javascript:"):
        yield Risk(node.line, "js-url", HIGH, "a link that runs a program")
    around = node.parent.source() if node.parent is not None else ""
    if name == "target" and said == "_blank" and "rel=" not in around:
        yield Risk(node.line, "js-opener", LOW, "a link whose page can reach this one")


def _says_secret(node: Node, program: _Program) -> Iterator[Risk]:
    if SECRET_TEXT.search(node.text):
        yield Risk(node.line, "js-secret", HIGH, "a key is in the text")


def _repeats(node: Node, program: _Program) -> Iterator[Risk]:
    if NESTED_REPEAT.search(node.source()):
        yield Risk(node.line, "js-redos", MEDIUM, "a pattern that can take for ever")


CALLS: Final = (_evaluates, _starts_programs, _reaches_files, _answers, _writes_markup, _encrypts)
RULES: Final[dict[str, tuple[Rule, ...]]] = {
    "call_expression": CALLS,
    "new_expression": (_evaluates,),
    "template_string": (_queries,),
    "binary_expression": (_queries,),
    "assignment_expression": (_assigns,),
    "variable_declarator": (_declares,),
    "pair": (_sets,),
    "jsx_attribute": (_marks_up,),
    "string": (_says_secret,),
    "regex": (_repeats,),
}
"""Kind of node → what is looked for in it."""
