"""How single values and lists are said: numbers, amounts, schedules, enumerations. Every spelling keeps the value.

A spelling is drawn by the seeded generator of the request; the first of each list is the manifest's own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
UNITS = {"Ki": "KiB", "Mi": "MiB", "Gi": "GiB", "Ti": "TiB"}
AMOUNT = re.compile(r"(\d+)(Ki|Mi|Gi|Ti)")
MILLIS = re.compile(r"(\d+)m")
CRON = re.compile(r"(\d+|\*/\d+) (\d+|\*|\*/\d+) (\d+|\*) \* (\d|\*|1-5)")


def listing(parts: Sequence[str], last: str = "and") -> str:
    """Some words as a list.

    >>> listing(["a"]), listing(["a", "b"]), listing(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    return f" {last} ".join([*([", ".join(parts[:-1])] if parts[:-1] else []), *parts[-1:]])


def article(words: str) -> str:
    """Some words with their indefinite article.

    >>> article("Ingress"), article("HPA"), article("one-off Job"), article("Pod"), article("NFS volume")
    ('an Ingress', 'an HPA', 'a one-off Job', 'a Pod', 'an NFS volume')
    """
    first = words.split(maxsplit=1)[0].strip("`\"'")
    letters = len(first) > 1 and first[:2].isupper()
    vowel = (
        first[0] in "AEFHILMNORSX"
        if letters
        else first[0].lower() in "aeiou" and not first.lower().startswith(("uni", "one", "use"))
    )
    return f"{'an' if vowel else 'a'} {words}"


def counts(number: str) -> list[str]:
    """How a small whole number is said.

    >>> counts("3"), counts("30")
    (['3', 'three'], ['30'])
    """
    return [number, NUMBERS[int(number)]] if number.isdigit() and int(number) <= 10 else [number]


def amounts(quantity: str) -> list[str]:
    """How a memory or storage size is said.

    >>> amounts("512Mi"), amounts("1G")
    (['512Mi', '512 MiB', '512MiB'], ['1G'])
    """
    found = AMOUNT.fullmatch(quantity)
    return [quantity, f"{found[1]} {UNITS[found[2]]}", f"{found[1]}{UNITS[found[2]]}"] if found else [quantity]


def cpus(quantity: str) -> list[str]:
    """How an amount of CPU is said, with the word for it.

    >>> cpus("250m"), cpus("1"), cpus("500m")[-1]
    (['250m CPU', '250m of CPU', '250 millicores'], ['1 CPU', '1 core', 'one core'], 'half a core')
    """
    millis = MILLIS.fullmatch(quantity)
    if millis:
        return [
            f"{quantity} CPU",
            f"{quantity} of CPU",
            f"{millis[1]} millicores",
            *["half a core"] * (millis[1] == "500"),
        ]
    one = "" if quantity == "1" else "s"
    return [f"{quantity} CPU{one}", *(f"{number} core{one}" for number in counts(quantity))]


def schedules(cron: str) -> list[str]:
    """How a cron schedule is said: itself, and in words with or without it where it is an everyday one.

    >>> schedules("0 2 * * *")[1:]
    ['every day at 02:00', 'daily at 02:00 ("0 2 * * *")']
    >>> schedules("*/5 * * * *")[1], schedules("30 6 * * 1")[1], schedules("7 3 1 1 *")
    ('every 5 minutes', 'every Monday at 06:30', ['"7 3 1 1 *"'])
    """
    plain = f'"{cron}"'
    found = CRON.fullmatch(cron)
    said = _told(*found.groups()) if found else ""
    if not said:
        return [plain]
    other = said.replace("every day", "daily").replace("every hour", "hourly")
    return [plain, said, f"{other} ({plain})"]


def _told(minute: str, hour: str, day: str, weekday: str) -> str:
    always = (day, weekday) == ("*", "*")
    if minute.startswith("*/"):
        return f"every {minute[2:]} minutes" if hour == "*" and always and _even(60, minute) else ""
    if hour.startswith("*"):
        told = "every hour" if hour == "*" else f"every {hour[2:]} hours"
        return told if always and minute == "0" and (hour == "*" or _even(24, hour)) else ""
    at = f"{int(hour):02}:{int(minute):02}"
    if day != "*":
        return f"on day {day} of every month at {at}" if weekday == "*" else ""
    if weekday in ("*", "1-5"):
        return f"every day at {at}" if weekday == "*" else f"on weekdays at {at}"
    return f"every {DAYS[int(weekday) % 7]} at {at}"


def _even(whole: int, step: str) -> bool:
    """Whether `*/7` divides the hour or the day evenly: only then is it "every 7"."""
    number = int(step[2:])
    return number > 1 and whole % number == 0


def enumerations(value: str) -> list[str]:
    """How an enumerated value is said: as Kubernetes writes it, and for some as people do.

    >>> enumerations("ReadWriteOnce"), enumerations("Recreate")
    (['ReadWriteOnce', 'RWO'], ['Recreate'])
    """
    short = {"ReadWriteOnce": "RWO", "ReadWriteMany": "RWX", "ReadOnlyMany": "ROX", "RollingUpdate": "rolling update"}
    return [value, *([short[value]] if value in short else [])]


def seconds(number: str) -> str:
    """A number of seconds.

    >>> seconds("1"), seconds("30")
    ('1 second', '30 seconds')
    """
    return f"{number} second{'' if number == '1' else 's'}"


def plural(number: str, word: str, rng: Random) -> str:
    """A number of things, the number in figures or words."""
    return f"{rng.choice(counts(number))} {word}{'' if number == '1' else 's'}"


def spaced(name: str) -> str:
    """A field's name in words.

    >>> spaced("reclaimPolicy"), spaced("clusterIP"), spaced("allowVolumeExpansion")
    ('reclaim policy', 'cluster IP', 'allow volume expansion')
    """
    words = re.findall(r"[A-Z]{2,}(?![a-z])|[A-Z]?[a-z0-9]+|[A-Z]", name)
    return " ".join(word if word.isupper() and len(word) > 1 else word.lower() for word in words) or name
