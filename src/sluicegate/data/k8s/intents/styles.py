"""Ways of writing a request: each takes what is to be said and gives a text that says all of it.

A style is a function of the sections and a seeded generator; `STYLES` is the literal list of them with how often each
is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from sluicegate.data.k8s.intents.phrases import KINDS, PHRASES
from sluicegate.data.k8s.intents.sections import Section
from sluicegate.data.k8s.intents.statement import Statement
from sluicegate.data.k8s.intents.wording import article, listing

Style = Callable[[Sequence[Section], str, Random], str]
"""Sections, purpose (as a noun; may be empty) and generator to the text."""

ORDERS = (
    "Create {}", "Write {}", "Set up {}", "Generate {}", "Prepare {}", "Define {}", "Make me {}", "Please write {}",
    "Produce the YAML for {}", "Write a Kubernetes manifest for {}", "Give me {}", "Draft {}", "I need {}",
    "I'd like {}", "We need {}", "Provide {}", "Build a manifest for {}", "Please create {}",
)  # fmt: skip
QUESTIONS = (
    "Can you write {}?", "Could you give me {}?", "How do I write {}?", "What does {} look like?",
    "Could you set up {}?", "What is the manifest for {}?", "How would I define {}?", "Would you draft {}?",
    "Can someone help me with {}?", "How can I describe {} in YAML?",
)  # fmt: skip
STATEMENTS = (
    "We need {}.", "There should be {}.", "What I have in mind is {}.", "The manifest describes {}.",
    "I am looking for {}.", "This is about {}.", "Our cluster needs {}.",
)  # fmt: skip
PURPOSES = ("It is for {}.", "This is for {}.", "We need it for {}.", "The purpose is {}.")
MORE = (
    "Add {}", "Also add {}", "Include {}", "Next to it, create {}", "It also needs {}", "Then add {}",
    "Along with it goes {}", "I also want {}", "Besides that, write {}", "Complete it with {}",
)  # fmt: skip
LEADS = ("", "", "", "", "Also ", "Please ", "Then ", "Make sure to ", "Remember to ", "Next, ")
NEEDS = ("It needs {}.", "Give it {}.", "It should have {}.", "It comes with {}.", "Equip it with {}.")
ROLES = (
    "platform engineer", "developer", "site reliability engineer", "team lead", "cluster administrator",
    "backend developer", "operator", "data engineer", "release manager", "DevOps engineer",
)  # fmt: skip
GOALS = ("roll it out with the rest", "review it", "apply it to the cluster", "run it on Kubernetes")
AIMS = ("{} can go live", "{} runs on our cluster", "{} is taken care of", "we have a manifest for {}")
GREETINGS = ("hi, ", "hey, ", "", "", "hello, ", "quick one: ", "morning, ", "hi team, ", "")
ASKS = (
    "need {}", "can I get {}", "could somebody write {}", "looking for {}", "I need {}", "we want {}",
    "please send me {}", "can you do {}", "want {}",
)  # fmt: skip
THANKS = ("", "", "", ", thanks", " please", ", thank you", ", cheers")
HEADS = ("Requirements", "Acceptance criteria", "Details", "What we need", "Spec", "To do", "Settings", "Scope")
CONTEXTS = (
    "We are moving this to the cluster.", "This is part of the current sprint.", "Please provide the YAML.",
    "The team asked for this manifest.", "Needed for the next release.", "It is not on Kubernetes yet.", "", "",
)  # fmt: skip
TITLES = ("{} for {}", "New {}: {}", "{} {}", "[k8s] {} {}", "Add {} {}", "{}: {}", "Manifest: {} {}")
SPECS = ("", "", "", "Kubernetes YAML, please:", "Manifest with:", "Please turn this into YAML:")
IMAGES = (" running {}", " that runs {}", " using the image {}", " for {}", " with the image {}", " based on {}")


def kind_word(section: Section, rng: Random, *, plain: bool = False) -> str:
    """What the kind is called here; in chats mostly in small letters."""
    words = KINDS.get(section.kind, (section.kind,))
    if plain and len(words) > 1:
        return rng.choice(words[1:])
    return words[0] if rng.random() < 0.65 else rng.choice(words)


def thing(section: Section, rng: Random, *, plain: bool = False, before: Section | None = None) -> str:
    """The object as a noun with its article, name and image."""
    noun = article(kind_word(section, rng, plain=plain))
    if before is not None and section.name and section.name == before.name and rng.random() < 0.4:
        noun += " of the same name"
    elif section.name:
        noun += rng.choice((" named {}", " called {}", " {}", " with the name {}")).format(section.name)
    if section.image:
        noun += rng.choice(IMAGES).format(section.image)
    return noun


def _say(statement: Statement, form: str, rng: Random) -> str:
    return str(rng.choice(getattr(PHRASES[statement.topic], form))).format(**statement.fills)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _nouns(statements: Sequence[Statement], rng: Random) -> str:
    return listing([_say(each, "nouns", rng) for each in statements])


def _whole(noun: str, statements: Sequence[Statement], rng: Random) -> str:
    """A noun with some of what it has."""
    joint = ", with" if " with the " in noun else " with"
    return f"{noun}{joint} {_nouns(statements, rng)}" if statements else noun


def _grouped(statements: Sequence[Statement], rng: Random, most: int) -> list[Sequence[Statement]]:
    groups, at = [], 0
    while at < len(statements):
        size = rng.randint(1, most)
        groups.append(statements[at : at + size])
        at += size
    return groups


def _ordered(statements: Sequence[Statement], rng: Random) -> list[str]:
    """Sentences of orders, at times of what it needs."""
    told = []
    for group in _grouped(statements, rng, 3):
        if rng.random() < 0.25:
            told.append(rng.choice(NEEDS).format(_nouns(group, rng)))
            continue
        words = listing([_say(each, "orders", rng) for each in group])
        told.append(f"{_capital(rng.choice(LEADS) + words)}.")
    return told


def _stated(statements: Sequence[Statement], rng: Random) -> list[str]:
    return [
        f"{_capital(', and '.join(_say(each, 'sentences', rng) for each in group))}."
        for group in _grouped(statements, rng, 2)
    ]


def _items(section: Section, rng: Random) -> list[str]:
    return [_say(each, "items", rng) for each in section.statements]


def _cut(section: Section, rng: Random, most: int) -> tuple[Sequence[Statement], Sequence[Statement]]:
    """Some statements for the opening sentence, and the rest."""
    place = rng.randint(0, min(most, len(section.statements)))
    return section.statements[:place], section.statements[place:]


def direct(sections: Sequence[Section], purpose: str, rng: Random) -> str:
    """Orders, one sentence after the other."""
    return _prose(sections, purpose, rng, opening=f"{rng.choice(ORDERS)}.", tell=_ordered)


def question(sections: Sequence[Section], purpose: str, rng: Random) -> str:
    """A question, and sentences that say more."""
    tell = rng.choice((_stated, _ordered))
    return _prose(sections, purpose, rng, opening=rng.choice(QUESTIONS), tell=tell, most=2)


def description(sections: Sequence[Section], purpose: str, rng: Random) -> str:
    """What there is to be, in sentences."""
    return _prose(sections, purpose, rng, opening=rng.choice(STATEMENTS), tell=_stated)


Telling = Callable[[Sequence[Statement], Random], list[str]]


def _prose(
    sections: Sequence[Section], purpose: str, rng: Random, *, opening: str, tell: Telling, most: int = 4
) -> str:
    first, *others = sections
    some, rest = _cut(first, rng, most)
    sentences = [opening.format(_whole(thing(first, rng), some, rng))]
    if purpose:
        sentences.append(rng.choice(PURPOSES).format(purpose))
    sentences += tell(rest, rng)
    for section, more in zip(others, _more(rng, len(others)), strict=True):
        some, rest = _cut(section, rng, 4)
        sentences.append(f"{more.format(_whole(thing(section, rng, before=first), some, rng))}.")
        sentences += tell(rest, rng)
    return " ".join(sentences)


def _more(rng: Random, count: int) -> list[str]:
    """Ways of adding an object, none twice in a row."""
    ways = rng.sample(MORE, len(MORE))
    return [ways[place % len(ways)] for place in range(count)]


def story(sections: Sequence[Section], purpose: str, rng: Random) -> str:
    """A user story, and what it means in detail."""
    first, *others = sections
    some, rest = _cut(first, rng, 2)
    goal = rng.choice(AIMS).format(purpose) if purpose else f"we can {rng.choice(GOALS)}"
    opening = f"As {article(rng.choice(ROLES))}, I want {_whole(thing(first, rng), some, rng)} so that {goal}."
    sentences = [opening, *rng.choice((_stated, _ordered))(rest, rng)]
    for section, more in zip(others, _more(rng, len(others)), strict=True):
        whole = _whole(thing(section, rng, before=first), section.statements, rng)
        sentences.append(f"{more.format(whole)}.")
    return " ".join(sentences)


def chat(sections: Sequence[Section], purpose: str, rng: Random) -> str:
    """A message between colleagues: small letters, commas."""
    parts = []
    for place, section in enumerate(sections):
        noun = thing(section, rng, plain=True, before=sections[0] if place else None)
        parts.append(", ".join([noun, *(_say(each, "nouns", rng) for each in section.statements)]))
    told = rng.choice(ASKS).format("; plus ".join(parts))
    aim = f" for {purpose}" if purpose and len(sections) == 1 and not sections[0].statements else ""
    return f"{rng.choice(GREETINGS)}{told}{aim}{rng.choice(THANKS)}"


def ticket(sections: Sequence[Section], purpose: str, rng: Random) -> str:
    """A ticket: title, a word of context, a list for each object."""
    first = sections[0]
    title = rng.choice(TITLES).format(kind_word(first, rng), first.name or first.image or first.kind)
    lines = [_capital(title) if not first.name.startswith(title[:1]) else title, ""]
    context = rng.choice(PURPOSES).format(purpose) if purpose else rng.choice(CONTEXTS)
    lines += [context, ""] if context else []
    head, bullet = rng.choice(HEADS), rng.choice("-*")
    for place, section in enumerate(sections):
        lines.append(f"{head}:" if not place else f"{_capital(thing(section, rng, before=first))}:")
        if not place:
            lines.append(f"{bullet} {thing(section, rng)}")
        lines += [f"{bullet} {item}" for item in _items(section, rng)]
    return "\n".join(lines)


def spec(sections: Sequence[Section], purpose: str, rng: Random) -> str:
    """A list of settings, a block for each object."""
    blocks = []
    bullet = rng.choice(("- ", "* ", "", "", "  "))
    for section in sections:
        kind = kind_word(section, rng)
        if rng.random() < 0.5:
            lines = [f"{kind}{f' {section.name}' if section.name else ''}"]
        else:
            lines = [f"kind: {kind}", *([f"name: {section.name}"] if section.name else [])]
        if section.image:
            lines.append(f"{bullet}image: {section.image}")
        blocks.append("\n".join([*lines, *(f"{bullet}{item}" for item in _items(section, rng))]))
    lead = rng.choice(SPECS)
    return "\n\n".join([lead, *blocks] if lead else blocks)


def keywords(sections: Sequence[Section], purpose: str, rng: Random) -> str:
    """What people type into a search box."""
    parts = []
    for section in sections:
        words = [kind_word(section, rng, plain=rng.random() < 0.7), section.name, section.image]
        parts.append(", ".join([" ".join(filter(None, words)), *_items(section, rng)]))
    return f"{rng.choice(('', '', 'kubernetes ', 'k8s ', 'yaml for '))}{' + '.join(parts)}"


STYLES: tuple[tuple[Style, int], ...] = (
    (direct, 5),
    (question, 3),
    (description, 3),
    (story, 2),
    (chat, 3),
    (ticket, 2),
    (spec, 3),
    (keywords, 1),
)
"""Style → how often it is drawn."""
