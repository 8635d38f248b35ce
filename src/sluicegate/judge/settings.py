"""What a judge is asked with, from the environment: where, which model, with which key, at what price, up to what cap.

`JUDGE_X_FILE` names a file that holds `JUDGE_X`, as secrets are mounted. The key stays in this process: it is in no
repr, no message and no file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sluicegate.endpoint import address, usable_key
from sluicegate.errors import UserError, UserErrors
from sluicegate.jsonl import read_text
from sluicegate.judge.money import MOST_DOLLARS, Price, nano, read_price

KEY = "JUDGE_API_KEY"
FILE = "judge.sqlite"
"""The ledger's name, beside the first score file where JUDGE_LEDGER says nothing else."""
VARIABLES = {
    "JUDGE_BASE_URL": "Base address of an OpenAI-compatible endpoint, such as http://localhost:8000/v1.",
    "JUDGE_MODEL": "The model's name there; replies are kept under it.",
    KEY: "The endpoint's key, where it wants one.",
    "JUDGE_PRICES": "A YAML or JSON file of prices: `model: {input: dollars, output: dollars}`, for a million tokens.",
    "JUDGE_DOLLARS": "The cap of the whole ledger.",
    "JUDGE_STAGE_DOLLARS": "The cap of JUDGE_ACCOUNT in it; one of the two caps must be given.",
    "JUDGE_ACCOUNT": "What the money is spent for: a stage's run folder.",
    "JUDGE_LEDGER": f"The ledger's file (default: {FILE} beside the scores).",
    "JUDGE_MAX_TOKENS": "Longest reply, reasoning included (default: 512).",
}
"""Every variable and what it says."""
MAX_TOKENS = 512


@dataclass(frozen=True, slots=True)
class Settings:
    """A judge, and what it may cost.

    Args:
        cap, account_cap: nanodollars of the whole ledger and of the account in it; None for no such cap.
    """

    url: str
    model: str
    price: Price
    ledger: Path
    cap: int | None
    account_cap: int | None
    account: str = ""
    max_tokens: int = MAX_TOKENS
    key: str = field(default="", repr=False)


def read(environment: Mapping[str, str], ledger: Path) -> Settings:
    """The settings.

    Args:
        environment: variables; one that is empty counts as unset.
        ledger: where it lies if the environment does not say.

    Raises:
        UserErrors: every fault at once; nothing was asked then.
    """
    faults: list[UserError] = []
    said = dict(_said(environment, faults))

    def take(name: str, read: Callable[[str], object], *, needed: bool = True) -> object:
        try:
            if name not in said:
                if needed:
                    raise UserError(f"{name}: not set", wanted=VARIABLES[name])
                return None
            return read(said[name])
        except UserErrors as fault:
            faults.extend(fault.faults)
        except UserError as fault:
            faults.append(fault)
        return None

    url = take("JUDGE_BASE_URL", lambda text: address(text, "JUDGE_BASE_URL", KEY))
    model = take("JUDGE_MODEL", str)
    key = take(KEY, lambda text: usable_key(KEY, text), needed=False)
    price = take("JUDGE_PRICES", lambda text: read_price(Path(text), str(model)) if model else None)
    cap = take("JUDGE_DOLLARS", lambda text: _dollars("JUDGE_DOLLARS", text), needed=False)
    part = take("JUDGE_STAGE_DOLLARS", lambda text: _dollars("JUDGE_STAGE_DOLLARS", text), needed=False)
    most = take("JUDGE_MAX_TOKENS", _tokens, needed=False)
    if not {"JUDGE_DOLLARS", "JUDGE_STAGE_DOLLARS"} & set(said):
        faults.append(
            UserError(
                "JUDGE_DOLLARS: not set",
                wanted="the most that the judge may cost in all, in dollars",
                mend="export JUDGE_DOLLARS=5   (0 for a judge whose prices are 0)",
            )
        )
    if faults:
        raise UserErrors(f"the judge: {len(faults)} setting(s) are wrong; nothing was asked", faults)
    assert isinstance(url, str) and isinstance(model, str) and isinstance(price, Price)  # noqa: S101 (else a fault)
    return Settings(
        url=url, model=model, price=price, ledger=Path(said.get("JUDGE_LEDGER", ledger)),
        cap=cap if isinstance(cap, int) else None, account_cap=part if isinstance(part, int) else None,
        account=said.get("JUDGE_ACCOUNT", ""), max_tokens=most if isinstance(most, int) else MAX_TOKENS,
        key=key if isinstance(key, str) else "",
    )  # fmt: skip


def _said(environment: Mapping[str, str], faults: list[UserError]) -> Iterator[tuple[str, str]]:
    """Variable → what it says, from itself or from the file that it names."""
    for name in VARIABLES:
        value, file = environment.get(name, ""), environment.get(f"{name}_FILE", "")
        if value and file:
            faults.append(UserError(f"{name}: given twice", wanted=f"{name} or {name}_FILE", seen="both"))
        if file and not value:
            try:
                value = read_text(Path(file)).strip()
            except UserError as fault:
                faults.append(UserError(f"{name}_FILE: {fault.what}", wanted=fault.wanted, seen=fault.seen))
        if value.strip():
            yield name, value if name == KEY else value.strip()


def _dollars(name: str, text: str) -> int:
    try:
        dollars = float(text)
    except ValueError:
        dollars = math.nan
    if not 0 <= dollars <= MOST_DOLLARS:
        raise UserError(name, wanted=f"dollars from 0 to {MOST_DOLLARS}", seen=text[:80])
    return nano(dollars)


def _tokens(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 8 and 16 <= int(text) <= 100_000):
        raise UserError("JUDGE_MAX_TOKENS", wanted="a whole number from 16 to 100000", seen=text[:80])
    return int(text)
