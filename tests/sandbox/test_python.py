"""Programs that are right, however odd, pass, and proxies behave as what they stand for."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from sluicegate.data import demo, micro
from sluicegate.sandbox import Limits, Outcome, backends, docker, python
from sluicegate.sandbox import bwrap as bubblewrap
from sluicegate.sandbox.backends import Choice

pytestmark = pytest.mark.process

TESTS = "assert add(1, 2) == 3\nassert add(-1, 1) == 0\n"
RIGHT = "def add(a, b):\n    return a + b\n"
GENEROUS = Limits(wall_s=60, cpu_s=30)


def outcome_of(program: str, tests: str, *, reference: str | None = None, backend: str = "") -> Outcome:
    known = program if reference is None else reference
    return python.run(program, tests, reference=known, limits=GENEROUS, backend=backend)


ODD_BUT_RIGHT = {
    "thread left running": "import threading, time\nthreading.Thread(target=time.sleep, args=[60]).start()\n",
    "child left running": "import subprocess\nsubprocess.Popen(['sleep', '60'])\n",
    "noisy": "import sys\nprint('x' * 10**6)\nprint('FAILED', file=sys.stderr)\nsys.stdout.flush()\n",
    "noisy below": "import os, sys\nos.write(1, b'x' * 10**6)\nsys.stdout.buffer.write(b'pass')\n",
    "main guard": "if __name__ == '__main__':\n    raise SystemExit(1)\n",
    "defines __all__ and test_ names": "__all__ = ['add']\ndef test_mine():\n    assert False\n",
    "reads its input": "import sys\nassert sys.stdin.read() == ''\n",
    "dataclass with annotations as text": (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass Pair:\n    a: int = 1\n"
    ),
    "names of the tests and of the harness": "names = tests = candidate = module = result = kind = peer = None\n",
    "exits with 7 at its end": "import atexit, os\natexit.register(os._exit, 7)\n",
    "catches what it raises": "import sys\ntry:\n    sys.exit(3)\nexcept SystemExit:\n    pass\n",
    "writes and leaves": "import os\nopen('a', 'w').write('é')\nos.mkdir('d')\nos.chdir('d')\n",
    "temporary files": "import tempfile\nassert tempfile.mkdtemp().startswith(__import__('os').getcwd())\n",
    "deletes its folder": "import os, shutil\nshutil.rmtree(os.getcwd())\n",
    "closes its standard streams": "import os\nfor n in (0, 1, 2):\n    os.close(n)\n",
    "has CRLF line ends": "if True:\r\n    x = 1\r\n",
    "pickles its own class": "import pickle\nclass P: pass\npickle.loads(pickle.dumps(P()))\n",
    "raises the recursion limit": (
        "import sys\nsys.setrecursionlimit(10**5)\ndef deep(n): return n and deep(n - 1)\nassert deep(20_000) == 0\n"
    ),
    "lowers the recursion limit": "import sys\nsys.setrecursionlimit(100)\n",
    "handles signals": "import signal\nsignal.signal(signal.SIGTERM, lambda *_: None)\n",
    "waits for a child": "import subprocess\nassert subprocess.run(['true']).returncode == 0\n",
    "uses several processes": (
        "from concurrent.futures import ProcessPoolExecutor\nimport multiprocessing\n"
        "with ProcessPoolExecutor(2, multiprocessing.get_context('fork')) as p: assert list(p.map(abs, [-1])) == [1]\n"
    ),
    "uses threads": (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(4) as p: assert list(p.map(abs, range(9))) == list(range(9))\n"
    ),
    "serves and asks itself": (
        "import socket\ns = socket.create_server(('127.0.0.1', 0))\n"
        "c = socket.create_connection(s.getsockname())\ns.accept()[0].sendall(b'x')\nassert c.recv(1) == b'x'\n"
    ),
    "has a database": "import sqlite3\nassert sqlite3.connect(':memory:').execute('select 1').fetchone() == (1,)\n",
    "has a time zone": "import zoneinfo\nassert zoneinfo.ZoneInfo('Europe/Berlin')\n",
    "changes the collector": "import gc\ngc.disable(); gc.set_threshold(1)\n",
    "prints half a character": "print('\\udc80')\n",
    "has a finaliser": "class F:\n    def __del__(self): print('bye')\nf = F()\ndel f\n",
    "redirects its output": "import io, sys\nsys.stdout = io.StringIO()\nprint('x')\n",
    "uses the hash seed": "assert [hash('a')] == [hash('a')]\n",
    "has a long constant": f"x = {'1' * 4000}\n",
    "is long": "x = 1\n" * 20_000,
    "runs an event loop": "import asyncio\nasync def f(): return 1\nassert asyncio.run(f()) == 1\n",
}


@pytest.mark.parametrize("prologue", ODD_BUT_RIGHT.values(), ids=ODD_BUT_RIGHT)
def test_odd_but_right_programs_pass(bwrap: str, prologue: str) -> None:
    assert outcome_of(prologue + RIGHT, TESTS, reference=RIGHT, backend=bwrap) == Outcome("pass", "", bwrap)


AT_THE_END = {
    "exits with 7 at its end": "raise SystemExit(7)\n",
    "exits with 0 at its end": "import sys\nsys.exit()\n",
}


@pytest.mark.parametrize("epilogue", AT_THE_END.values(), ids=AT_THE_END)
def test_a_program_that_exits_when_all_is_defined_passes(epilogue: str) -> None:
    assert outcome_of(RIGHT + epilogue, TESTS, reference=RIGHT).kind == "pass"


def test_odd_but_right_programs_pass_without_a_sandbox_too() -> None:
    for name in ("thread left running", "child left running", "closes its standard streams", "deletes its folder"):
        said = outcome_of(ODD_BUT_RIGHT[name] + RIGHT, TESTS, reference=RIGHT, backend="rlimits")
        assert said == Outcome("pass", "", "rlimits, UNSAFE"), name


BEHAVES = {
    "plain data keep their type": (
        "def f(x): return x\ndef kind(x): return type(x).__name__",
        "for x in (True, 1, 1.5, 'a', b'a', None, (1,), [1], {1}, frozenset([1]), {'a': 1}, 2j, range(3), ..., "
        "2**100):\n"
        "    assert type(f(x)) is type(x) and f(x) == x and kind(x) == type(x).__name__\n"
        "assert f(True) is True and f(1) is not True",
    ),
    "floats keep every bit": (
        "def f(x): return x",
        "import math\nassert math.isnan(f(math.nan)) and f(math.inf) == math.inf\n"
        "assert math.copysign(1, f(-0.0)) == -1 and f(0.1) == 0.1",
    ),
    "text keeps half characters": ("def f(x): return x", "assert f('\\ud800\\0é') == '\\ud800\\0é'"),
    "dicts keep their order": (
        "def f(): return {'b': 1, 'a': 2}",
        "assert list(f()) == ['b', 'a']",
    ),
    "values of the library are themselves": (
        "import datetime as d\nfrom decimal import Decimal\nfrom fractions import Fraction\n"
        "from collections import Counter, OrderedDict, defaultdict, deque\nimport uuid\n"
        "def f(): return [Decimal('1.10'), Fraction(1, 3), d.date(2024, 2, 29), d.timedelta(1), deque([1], 3),\n"
        "    d.datetime(2024, 1, 2, 3, tzinfo=d.timezone.utc), Counter('aab'), OrderedDict(a=1), uuid.UUID(int=5)]\n"
        "def g():\n    x = defaultdict(list)\n    x['a'].append(1)\n    return x",
        "import datetime, decimal, fractions, collections, uuid\ngot = f()\n"
        "assert got[0] == decimal.Decimal('1.1') and str(got[0]) == '1.10'\nassert got[1] == fractions.Fraction(1, 3)\n"
        "assert got[2] == datetime.date(2024, 2, 29) and got[3].days == 1 and got[4].maxlen == 3\n"
        "assert got[5].tzinfo is datetime.timezone.utc and got[6]['a'] == 2 and type(got[6]) is collections.Counter\n"
        "assert got[7] == {'a': 1} and got[8] == uuid.UUID(int=5)\nx = g()\nx['b'].append(2)\n"
        "assert x == {'a': [1], 'b': [2]}",
    ),
    "arguments that are changed": (
        "def swap(x): x[0], x[-1] = x[-1], x[0]\ndef put(d, s, b): d['k'] = [1]; s.add(3); b.extend(b'z'); d.pop('x')\n"
        "def deep(x): x['rows'][0].append(9)",
        "x = [1, 2, 3]\nalias = x\nswap(x)\nassert alias == [3, 2, 1] and alias is x\n"
        "d, s, b = {'x': 1}, {1}, bytearray(b'a')\nput(d, s, b)\nassert (d, s, b) == ({'k': [1]}, {1, 3}, b'az')\n"
        "row = []\nd = {'rows': [row]}\ndeep(d)\nassert row == [9] and d['rows'][0] is row",
    ),
    "arguments that are left alone": (
        "def f(x): return sorted(x)",
        "x = [3, 1]\nassert f(x) == [1, 3] and x == [3, 1] and f(x) is not x",
    ),
    "arguments that come back": ("def f(x): return x", "x = [1]\nassert f(x) is x\ny = [x, x]\nassert f(y)[0] is x"),
    "aliases and cycles": (
        "def f():\n    x = [1]\n    return [x, x]\ndef g():\n    x = {}\n    x['me'] = x\n    return x",
        "y = f()\ny[0].append(2)\nassert y[1] == [1, 2]\nz = g()\nassert z['me'] is z",
    ),
    "exceptions": (
        "class Own(ValueError):\n    def __init__(self, code): super().__init__(f'code {code}'); self.code = code\n"
        "def f(n):\n    if n: raise Own(n)\n    return {}['missing']\ndef g(): raise OSError(2, 'gone')",
        "try: f(7)\nexcept ValueError as e: assert str(e) == 'code 7' and isinstance(e, Own) and e.code == 7\n"
        "else: raise AssertionError\ntry: f(0)\nexcept KeyError as e: assert e.args == ('missing',)\n"
        "try: g()\nexcept FileNotFoundError as e: assert e.errno == 2\nelse: raise AssertionError",
    ),
    "a class": (
        "class Stack:\n    kind = 'lifo'\n    def __init__(self, *xs): self.items = list(xs)\n"
        "    def push(self, x): self.items.append(x); return self\n    def pop(self): return self.items.pop()\n"
        "    def __len__(self): return len(self.items)\n    def __iter__(self): return iter(self.items)\n"
        "    def __contains__(self, x): return x in self.items\n    def __getitem__(self, i): return self.items[i]\n"
        "    def __repr__(self): return f'Stack({self.items})'\n    @property\n"
        "    def top(self): return self.items[-1]\n"
        "    @staticmethod\n    def of(n): return Stack(*range(n))\n    @classmethod\n    def empty(cls): return cls()",
        "s = Stack(1, 2)\nassert s.push(3) is s and len(s) == 3 and list(s) == [1, 2, 3] and s.top == 3\n"
        "assert 2 in s and 9 not in s and s[0] == 1 and s[1:] == [2, 3] and s.pop() == 3\n"
        "assert isinstance(s, Stack) and Stack.kind == 'lifo' and len(Stack.of(4)) == 4 and not Stack.empty()\n"
        "assert repr(s) == 'Stack([1, 2])' and f'{s}' == str(s) == repr(s)\n"
        "s.label = 'x'\nassert s.label == 'x' and not hasattr(s, 'nothing')\n"
        "try: s.nothing\nexcept AttributeError: pass\nelse: raise AssertionError",
    ),
    "operators": (
        "from dataclasses import dataclass\n@dataclass(frozen=True, order=True)\nclass V:\n    x: int\n    y: int = 0\n"
        "    def __add__(self, o): return V(self.x + o.x, self.y + o.y)\n"
        "    def __mul__(self, k): return V(self.x * k, self.y * k)\n"
        "    __rmul__ = __mul__\n    def __neg__(self): return V(-self.x, -self.y)\n"
        "    def __abs__(self): return self.x + self.y\n"
        "    def __bool__(self): return bool(self.x)\n    def __getitem__(self, i): return (self.x, self.y)[i]",
        "assert V(1, 2) + V(3, 4) == V(4, 6) and V(1, 2) * 3 == V(3, 6) == 3 * V(1, 2)\n"
        "assert V(1) != V(2) and V(1) < V(2)\n"
        "assert -V(1) == V(-1) and abs(V(1, 2)) == 3 and not V(0) and V(1, 5)[1] == 5 and V(1) != 1\n"
        "assert {V(1): 'a'}[V(1)] == 'a' and len({V(1), V(1), V(2)}) == 2 and max([V(1), V(9), V(3)]) == V(9)\n"
        "assert sorted([V(2), V(1)]) == [V(1), V(2)] and V(2).x == 2\n"
        "try: V(1).x = 5\nexcept Exception as e: assert type(e).__name__ == 'FrozenInstanceError'\n"
        "else: raise AssertionError",
    ),
    "comparing with plain values": (
        "class Money:\n    def __init__(self, n): self.n = n\n"
        "    def __eq__(self, o): return self.n == getattr(o, 'n', o)\n"
        "    def __lt__(self, o): return self.n < getattr(o, 'n', o)",
        "assert Money(3) == 3 and Money(3) != 4 and Money(2) < 3 and Money(1) == Money(1)",
    ),
    "named tuples and enums": (
        "from collections import namedtuple\nfrom enum import Enum, IntEnum\nP = namedtuple('P', 'x y')\n"
        "class Colour(Enum):\n    RED = 'r'\n    BLUE = 'b'\nclass Level(IntEnum):\n    LOW = 1\n"
        "def p(): return P(1, 2)\ndef c(): return Colour.RED\ndef level(): return Level.LOW",
        "assert p() == (1, 2) and p().x == 1 and p()[1] == 2 and isinstance(p(), tuple) and P(3, 4).y == 4\n"
        "assert c() is Colour.RED and c() == Colour.RED and c() != Colour.BLUE and c().value == 'r' and "
        "c().name == 'RED'\n"
        "assert Colour('b') is Colour.BLUE and Colour['BLUE'] is Colour.BLUE and [x.name for x in Colour] == "
        "['RED', 'BLUE']\n"
        "assert level() == 1 and level() is Level.LOW and level() + 1 == 2",
    ),
    "classes of plain containers": (
        "class Bag(dict):\n    def total(self): return sum(self.values())\nclass Row(list):\n"
        "    def add(self, x): self.append(x)\n"
        "from collections import OrderedDict\nclass Cache(OrderedDict):\n"
        "    def put(self, k, v): self[k] = v; self.move_to_end(k, False)",
        "b = Bag(a=1)\nb['b'] = 2\nassert b.total() == 3 and b == {'a': 1, 'b': 2} and len(b) == 2 and 'a' in b\n"
        "r = Row()\nr.add(5)\n"
        "assert r == [5] and r[0] == 5 and len(r) == 1 and list(r) == [5] and isinstance(r, list)\n"
        "c = Cache()\nc.put(1, 2)\nc.put(3, 4)\nassert list(c) == [3, 1] and c[1] == 2",
    ),
    "generators": (
        "def count(n):\n    got = []\n    for i in range(n):\n        x = yield i\n        if x: got.append(x)\n"
        "    return got\n"
        "def forever():\n    n = 0\n    while True:\n        yield n\n        n += 1",
        "import itertools\n"
        "assert list(count(3)) == [0, 1, 2] and list(itertools.islice(forever(), 5)) == [0, 1, 2, 3, 4]\n"
        "g = count(2)\nassert next(g) == 0 and g.send('x') == 1\ntry: next(g)\n"
        "except StopIteration as e: assert e.value == ['x']\n"
        "assert next(iter([]), None) is None and sum(x for x in count(4)) == 6",
    ),
    "lazy answers": (
        "def f(d): return d.keys()\ndef g(x): return map(str, x)\ndef h(x): return (y for y in x)",
        "assert sorted(f({'b': 1, 'a': 2})) == ['a', 'b'] and list(g([1, 2])) == ['1', '2'] and set(h([1])) == {1}",
    ),
    "context managers": (
        "class C:\n    def __enter__(self): self.on = True; return self\n"
        "    def __exit__(self, kind, e, trace): self.on = False; return kind is KeyError\n"
        "from contextlib import contextmanager\n@contextmanager\ndef tag(x): yield x + 1",
        "c = C()\nwith c as d: assert d is c and c.on\nassert not c.on\nwith c: raise KeyError\n"
        "try:\n    with c: raise ValueError\nexcept ValueError: pass\nwith tag(1) as t: assert t == 2",
    ),
    "functions as arguments": (
        "def apply(f, *xs, **kw): return f(*xs, **kw)\ndef each(f, xs): return [f(x) for x in xs]\n"
        "def retry(f, n):\n    for _ in range(n):\n        try: return f()\n        except ValueError: pass",
        "assert apply(lambda a, b=0: a + b, 1, b=2) == 3 and each(str, [1]) == ['1'] and each(len, ['ab']) == [2]\n"
        "seen = []\neach(seen.append, [1, 2])\nassert seen == [1, 2]\ncalls = []\ndef flaky():\n    calls.append(1)\n"
        "    if len(calls) < 3: raise ValueError\n    return 'ok'\nassert retry(flaky, 5) == 'ok' and len(calls) == 3\n"
        "class Boom(Exception): pass\ndef boom(): raise Boom('x')\ntry: retry(boom, 2)\n"
        "except Boom as e: assert e.args == ('x',)",
    ),
    "functions as answers": (
        "def adder(n): return lambda x: x + n\ndef compose(*fs):\n    def run(x):\n"
        "        for f in fs: x = f(x)\n        return x\n"
        "    return run\ndef curry(a):\n    return lambda b: lambda c: a + b + c",
        "assert adder(2)(3) == 5 and compose(adder(1), lambda x: x * 2)(3) == 8 and curry(1)(2)(3) == 6 and "
        "callable(adder(1))",
    ),
    "decorators": (
        "import functools\ndef memo(f):\n    seen = {}\n    @functools.wraps(f)\n    def run(*a):\n"
        "        if a not in seen: seen[a] = f(*a)\n        return seen[a]\n    return run",
        "calls = []\n@memo\ndef square(x):\n    'squares'\n    calls.append(x)\n    return x * x\n"
        "assert square(3) == 9 and square(3) == 9 and calls == [3] and square.__name__ == 'square' and "
        "square.__doc__ == 'squares'",
    ),
    "objects of the tests": (
        "def depth(node): return 0 if node is None else 1 + max(depth(node.left), depth(node.right))\n"
        "def mirror(node):\n"
        "    if node is not None: node.left, node.right = mirror(node.right), mirror(node.left)\n    return node\n"
        "def name_of(x): return x.name()",
        "class Node:\n    def __init__(self, left=None, right=None): self.left, self.right = left, right\n"
        "    def name(self): return 'n'\n"
        "root = Node(Node(Node()))\n"
        "assert depth(root) == 3 and mirror(root) is root and root.left is None and depth(root.right) == 2\n"
        "assert name_of(root) == 'n'",
    ),
    "copies of the tests' objects": (
        "import copy\ndef clone(x): return copy.deepcopy(x)\ndef again(x): return type(x)(x.v)",
        "class Node:\n    def __init__(self, v, next=None): self.v, self.next = v, next\na = Node(1, Node(2))\n"
        "b = clone(a)\n"
        "assert b is not a and isinstance(b, Node) and b.next is not a.next and b.next.v == 2 and again(a).v == 1",
    ),
    "mocks": (
        "def notify(sender, who): return sender.send(who, retries=3).status",
        "from unittest.mock import Mock\nsender = Mock()\nsender.send.return_value.status = 'ok'\n"
        "assert notify(sender, 'a') == 'ok'\n"
        "sender.send.assert_called_once_with('a', retries=3)",
    ),
    "what is printed": (
        "import sys\ndef greet(name): print('Hello', name)\ndef warn(): sys.stdout.write('w')",
        "import io, contextlib\nout = io.StringIO()\nwith contextlib.redirect_stdout(out):\n    greet('Bob')\n"
        "    warn()\n"
        "assert out.getvalue() == 'Hello Bob\\nw'",
    ),
    "what is read": (
        "def double(): return 2 * int(input('n? '))",
        "import io, sys\nsys.stdin = io.StringIO('21\\n')\nassert double() == 42",
    ),
    "coroutines": (
        "import asyncio\nasync def add(a, b):\n    await asyncio.sleep(0)\n    return a + b\n"
        "class Door:\n    async def __aenter__(self): return self\n    async def __aexit__(self, *_): return False",
        "import asyncio\nassert asyncio.run(add(1, 2)) == 3\n"
        "async def both(): return await asyncio.gather(add(1, 1), add(2, 2))\n"
        "assert asyncio.run(both()) == [2, 4]\nasync def test_door():\n"
        "    async with Door() as d: assert d is not None",
    ),
    "a block of a generator is left by an exception": (
        "import contextlib\nlog = []\ndef told(): return log\n"
        "@contextlib.contextmanager\ndef kept():\n    try:\n        yield log\n"
        "    except KeyError:\n        log.append('over')\n"
        "    except BaseException:\n        log.append('up')\n        raise",
        "def left(fault):\n    try:\n        with kept(): raise fault\n"
        "    except ValueError as seen: return str(seen)\n"
        "assert left(KeyError('x')) is None and left(ValueError('no')) == 'no'\nassert told() == ['over', 'up']",
    ),
    "what waits in an event loop": (
        "import asyncio, contextlib\nlog = []\ndef told(): return log\n"
        "queue = asyncio.Queue()\nasync def put(x): await queue.put(x)\n"
        "async def take(): return await asyncio.wait_for(queue.get(), 1)\n@contextlib.asynccontextmanager\n"
        "async def kept():\n    try:\n        yield 1\n"
        "    except ValueError as fault:\n        log.append(str(fault))\n        raise",
        "import asyncio\nasync def all_of_it():\n    try:\n"
        "        async with kept() as one: raise ValueError(f'no {one}')\n"
        "    except ValueError: pass\n    else: assert False\n    await put(3)\n    assert await take() == 3\n"
        "asyncio.run(all_of_it())\nassert told() == ['no 1']",
    ),
    "names of the library": (
        "from collections import Counter\nfrom typing import List\nimport math, os",
        "assert Counter('aa')['a'] == 2 and math.sqrt(4) == 2.0 and List[int] and os.sep == '/'",
    ),
    "the module by its name": (
        "LIMIT = 5\ndef add(a, b): return a + b",
        "import candidate\nfrom candidate import add as plus\nassert plus(1, 2) == 3 and candidate.LIMIT == 5 == LIMIT",
    ),
    "shadowed built-ins": ("def sum(xs): return 'mine'", "assert sum([1]) == 'mine'"),
    "copies": (
        "class Box:\n    def __init__(self): self.x = [1]\n    def __eq__(self, o): return self.x == o.x",
        "import copy\nb = Box()\nc = copy.deepcopy(b)\nassert c == b and c is not b\nc.x = [2]\nassert c != b",
    ),
    "numbers that are large": ("def f(n): return 3 ** n", "assert f(10_000) == 3 ** 10_000"),
    "lists that are long": ("def f(n): return list(range(n))", "assert f(100_000) == list(range(100_000))"),
    "threads of the tests": (
        "import threading\nclass Counter:\n    def __init__(self): self.n, self.lock = 0, threading.Lock()\n"
        "    def up(self):\n        with self.lock: self.n += 1",
        "import threading\nc = Counter()\n"
        "ts = [threading.Thread(target=lambda: [c.up() for _ in range(20)]) for _ in range(4)]\n"
        "[t.start() for t in ts]\n[t.join() for t in ts]\nassert c.n == 80",
    ),
    "threads of the candidate that call the tests": (
        "from concurrent.futures import ThreadPoolExecutor\ndef pmap(f, xs):\n"
        "    with ThreadPoolExecutor(4) as pool: return list(pool.map(f, xs))",
        "assert pmap(lambda x: x * 2, range(20)) == [2 * x for x in range(20)]",
    ),
    "a check function as other sets have it": (
        "def add(a, b): return a + b",
        "METADATA = {}\ndef check(candidate):\n    assert candidate(1, 2) == 3\n"
        "    assert abs(candidate(0.1, 0.2) - 0.3) < 1e-9\ncheck(add)",
    ),
    "an abstract class": (
        "from abc import ABC, abstractmethod\nclass Shape(ABC):\n    @abstractmethod\n    def area(self): ...\n"
        "class Square(Shape):\n    def __init__(self, n): self.n = n\n    def area(self): return self.n ** 2",
        "assert Square(2).area() == 4 and isinstance(Square(1), Shape) and issubclass(Square, Shape)\n"
        "try: Shape()\nexcept TypeError: pass\nelse: raise AssertionError",
    ),
    "attributes that are handed out of order": (
        "class Node:\n    def __init__(self, v, next=None): self.value, self.next = v, next\n"
        "class Linked:\n    def __init__(self): self.head = None\n"
        "    def push(self, v): self.head = Node(v, self.head)\n"
        "    def __iter__(self):\n        n = self.head\n        while n: yield n.value; n = n.next",
        "x = Linked()\nfor i in range(3): x.push(i)\n"
        "assert list(x) == [2, 1, 0] and x.head.next.value == 1 and x.head.next.next.next is None",
    ),
}


@pytest.mark.parametrize(("program", "tests"), BEHAVES.values(), ids=BEHAVES)
def test_a_proxy_behaves_as_what_it_stands_for(bwrap: str, program: str, tests: str) -> None:
    assert outcome_of(program, tests, backend=bwrap) == Outcome("pass", "", bwrap)


CLASSES = {
    "of unittest": (
        "import unittest\nclass Adding(unittest.TestCase):\n"
        "    @classmethod\n    def setUpClass(cls): cls.wanted = 3\n    def setUp(self): self.one = 1\n"
        "    def test_it(self):\n        with self.subTest('sum'): self.assertEqual(add(self.one, 2), self.wanted)\n"
        "    @unittest.skip('later')\n    def test_later(self): self.fail()\n"
        "if __name__ == '__main__':\n    unittest.main()\n"
    ),
    "of unittest, by another name": (
        "from unittest import TestCase\nclass Base(TestCase):\n    pass\n"
        "class Adding(Base):\n    def test_it(self): self.assertEqual(add(1, 2), 3)\n"
    ),
    "of unittest, asynchronous": (
        "import unittest\nclass Adding(unittest.IsolatedAsyncioTestCase):\n"
        "    async def test_it(self): self.assertEqual(add(1, 2), 3)\n"
    ),
    "as pytest takes them": (
        "class TestAdding:\n    def setup_method(self): self.one = 1\n"
        "    def test_it(self): assert add(self.one, 2) == 3\n"
    ),
    "as pytest takes them, asynchronous": ("class TestAdding:\n    async def test_it(self): assert add(1, 2) == 3\n"),
}


@pytest.mark.parametrize("tests", CLASSES.values(), ids=CLASSES)
def test_classes_of_tests_are_run(tests: str) -> None:
    assert outcome_of(RIGHT, tests).kind == "pass"
    said = outcome_of(RIGHT.replace("+", "-"), tests, reference=RIGHT)
    assert (said.kind, said.why.startswith("AssertionError")) == ("fail", True)


def test_a_class_that_is_no_tests_is_not_run() -> None:
    assert (
        outcome_of(RIGHT, "class Node:\n    def test_me(self): raise ValueError\nassert add(1, 2) == 3\n").kind
        == "pass"
    )


def test_a_right_program_of_another_shape_passes() -> None:
    reference = (
        "class Bag:\n    def __init__(self): self.xs = []\n    def add(self, x): self.xs.append(x)\n"
        "    def __iter__(self): return iter(self.xs)"
    )
    other = (
        "class Bag(list):\n    def add(self, x): self.append(x)\n"
        "    def __contains__(self, x): return list.__contains__(self, x)"
    )
    tests = "b = Bag()\nb.add(1)\nassert list(b) == [1] and 1 in b and 2 not in b and b != None"
    assert outcome_of(reference, tests).kind == "pass"
    assert outcome_of(other, tests, reference=reference).kind == "pass"


@pytest.mark.parametrize("reference", ["", "raise ValueError", "def add(a, b): return None", "def ("])
def test_a_right_program_passes_without_a_right_reference(reference: str) -> None:
    assert outcome_of(RIGHT, TESTS, reference=reference).kind == "pass"
    assert outcome_of(RIGHT.replace("+", "-"), TESTS, reference=reference).kind == "fail"


@pytest.mark.parametrize("sample", [*demo.samples(4, seed=7), micro.PYTHON, micro.BUGFIX], ids=lambda sample: sample.id)
def test_the_shipped_references_pass_their_own_tests_and_nothing_does_not(sample: Any) -> None:
    assert outcome_of(sample.completion, sample.tests).kind == "pass"
    assert outcome_of("x = 1", sample.tests, reference=sample.completion).kind == "error"


def test_programs_run_at_once() -> None:
    said: list[Outcome] = []
    threads = [threading.Thread(target=lambda: said.append(outcome_of(RIGHT, TESTS))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [outcome.kind for outcome in said] == ["pass"] * 4


def test_a_worker_that_died_while_idle_is_replaced() -> None:
    python.close()
    assert outcome_of(RIGHT, TESTS).kind == "pass"
    (worker,) = next(iter(python._idle.values()))
    worker.process.kill()
    worker.process.wait()
    assert outcome_of(RIGHT, TESTS).kind == "pass"
    assert next(iter(python._idle.values())) != [worker]


def test_a_worker_that_does_not_start_is_our_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python.close()
    monkeypatch.setattr(python, "ROOT", tmp_path)
    outcome = outcome_of(RIGHT, TESTS)
    assert (outcome.kind, "does not start" in outcome.why) == ("infra", True)


def test_a_worker_that_dies_twice_is_our_failure_in_a_sandbox(bwrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object) -> None:
        raise python.WorkerLostError

    monkeypatch.setattr(python.Worker, "ask", lost)
    assert outcome_of(RIGHT, TESTS, backend=bwrap).kind == "infra"
    python.close()


def test_a_folder_that_cannot_be_made_is_our_failure() -> None:
    python.close()
    assert outcome_of(RIGHT, TESTS).kind == "pass"
    (worker,) = next(iter(python._idle.values()))
    subprocess.run(["rm", "-rf", worker.folder], check=True)
    outcome = outcome_of(RIGHT, TESTS)
    python.close()
    assert (outcome.kind, outcome.why) == ("infra", "No such file or directory (FileNotFoundError)")


def test_workers_and_folders_go_with_the_pool() -> None:
    assert outcome_of(RIGHT, TESTS).kind == "pass"
    (worker, *_) = next(iter(python._idle.values()))
    python.close()
    assert not Path(worker.folder).exists()
    assert worker.process.returncode is not None
    assert python._idle == {}


def test_where_nothing_runs_programs_it_is_our_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python, "choose", lambda name: Choice("", False, why="no POSIX"))
    assert outcome_of(RIGHT, TESTS) == Outcome("infra", "no POSIX", "")


def test_the_last_resort_says_why_the_better_one_was_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "probe", lambda: (None, "bubblewrap is refused here: no"))
    monkeypatch.setattr(docker, "probe", lambda: (None, "no Docker engine: no"))
    chosen = backends._found.__wrapped__("")
    assert (chosen.name, chosen.is_safe) == ("rlimits", False)
    assert chosen.why == "bubblewrap is refused here: no; no Docker engine: no"
    assert backends._found.__wrapped__("bwrap").name == ""


def test_a_machine_without_bubblewrap_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert bubblewrap.probe()[1].endswith("(apt-get install bubblewrap)" if sys.platform == "linux" else "Linux")


@pytest.mark.parametrize("has_proc", [True, False], ids=["with /proc", "without /proc"])
def test_a_user_namespace_keeps_programs_in_too(bwrap: str, has_proc: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    flavour = bubblewrap.Flavour(is_root=False, has_proc=has_proc)
    monkeypatch.setattr(bubblewrap, "flavours", lambda: iter([flavour]))
    works, why = bubblewrap.probe()
    if works is None:
        pytest.skip(f"no user namespaces here: {why}")
    monkeypatch.setattr(python, "choose", lambda name: Choice(bwrap, True, flavour))
    assert outcome_of(RIGHT, TESTS) == Outcome("pass", "", bwrap)
    program = (
        "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "assert os.getuid() == 65534 and os.listdir('/tmp') == ['work']\n"
        "assert libc.unshare(0x10000000) == -1 and libc.mount(b'none', b'/tmp', b'tmpfs', 0, None) == -1\n"
        "for deed in (lambda: open('/etc/passwd'), lambda: open('/x', 'w'), lambda: os.setuid(0), lambda: "
        "os.chroot('/')):\n"
        "    try: deed()\n    except OSError: pass\n    else: raise AssertionError\n"
        "try: os.kill(1, 9)\nexcept OSError: pass\n"
        "if os.path.exists('/proc/self'):\n    caps = open('/proc/self/status').read()\n"
        "    assert 'CapEff:\\t0000000000000000' in caps and 'NoNewPrivs:\\t1' in caps and 'Seccomp:\\t2' in caps\n"
    )
    assert outcome_of(program + RIGHT, TESTS, reference=RIGHT) == Outcome("pass", "", bwrap)
    forks = "import os, time\nfor _ in range(500):\n    if os.fork() == 0:\n        time.sleep(60)\n"
    assert outcome_of(forks, TESTS, reference=RIGHT).kind == "limit"
    assert outcome_of(RIGHT, TESTS) == Outcome("pass", "", bwrap)


def test_a_program_has_no_capability_and_a_filter(bwrap: str) -> None:
    program = (
        "status = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
        "assert all(int(status[name], 16) == 0 for name in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb'))\n"
        "assert status['NoNewPrivs'].strip() == '1' and status['Seccomp'].strip() == '2'\n"
        "assert status['Uid'].split() == ['65534'] * 4 and status['Groups'].split() in ([], ['65534'])\n"
    )
    assert outcome_of(program + RIGHT, TESTS, reference=RIGHT, backend=bwrap) == Outcome("pass", "", bwrap)


def test_a_group_bounds_programs_after_limits_were_raised_and_lowered(bwrap: str) -> None:
    for memory in (2**28, 2**29, 2**28):
        limits = Limits(wall_s=60, cpu_s=30, memory_bytes=memory)
        assert python.run(RIGHT, TESTS, reference=RIGHT, limits=limits, backend=bwrap).kind == "pass"
        eats = f"x = bytearray({memory})\n"
        assert python.run(eats + RIGHT, TESTS, reference=RIGHT, limits=limits, backend=bwrap).kind == "memory"
