"""Regular expressions for the JSON schema, equivalent to what the kinds of value parse."""

from collections.abc import Iterable

MOST_ZEROS = 20
"""Maximum number of leading zeros in a number, so that its text is bounded."""


def allow_spaces(*patterns: str) -> str:
    """Return the pattern of any of these, with optional white space around it."""
    return rf"^\s*(?:{'|'.join(patterns)})\s*$"


def in_any_case(words: Iterable[str]) -> str:
    """Return the pattern of one of these words in any case: JSON schema has no flags."""
    return "|".join("".join(map(_letter, word)) for word in words)


def spelled(normal_key: str) -> str:
    """Return the pattern of all accepted spellings of a key."""
    letters = "[-_]*".join(_letter(letter) for letter in normal_key)
    return f"^[-_]*{letters}[-_]*$"


def number(least: int, most: int) -> str:
    """Return the pattern of the integers of a range, with optional sign and leading zeros."""
    zeros = f"0{{0,{MOST_ZEROS}}}"
    positive = f"[+]?{zeros}(?:{digits(max(least, 0), most)})"
    if least > 0:
        return positive
    return f"{positive}|-{zeros}(?:{digits(0, -least)})"


def digits(least: int, most: int) -> str:
    """Return the pattern of the numbers of a range, without sign and leading zeros."""
    alternatives = ["0"] if least == 0 else []
    full_lengths = []  # lengths whose numbers are all in the range
    for length in range(len(str(max(least, 1))), len(str(most)) + 1):
        first, last = max(least, 10 ** (length - 1)), min(most, 10**length - 1)
        if last - first + 1 == 9 * 10 ** (length - 1):
            full_lengths.append(length - 1)
        elif first <= last:
            alternatives.append(_of_length(str(first), str(last)))
    if full_lengths:
        alternatives.append(f"[1-9][0-9]{{{full_lengths[0]},{full_lengths[-1]}}}")
    return "|".join(alternatives)


def _letter(letter: str) -> str:
    if letter.isalpha():
        return f"[{letter.lower()}{letter.upper()}]"
    return letter if letter.isalnum() else f"[{letter}]"


def _of_length(first: str, last: str) -> str:
    """Return the pattern of the numbers from `first` to `last`, of the same length."""
    if not first:
        return ""
    rest = len(first) - 1
    if first[1:] == "0" * rest and last[1:] == "9" * rest:
        return _one_of(first[0], last[0]) + (f"[0-9]{{{rest}}}" if rest else "")
    if first[0] == last[0]:
        return first[0] + f"(?:{_of_length(first[1:], last[1:])})"
    lower = f"{first[0]}(?:{_of_length(first[1:], '9' * rest)})"
    upper = f"{last[0]}(?:{_of_length('0' * rest, last[1:])})"
    between = (
        [_one_of(_next(first[0]), _before(last[0])) + f"[0-9]{{{rest}}}"]
        if int(last[0]) - int(first[0]) > 1
        else []
    )
    return "|".join([lower, *between, upper])


def _next(digit: str) -> str:
    return str(int(digit) + 1)


def _before(digit: str) -> str:
    return str(int(digit) - 1)


def _one_of(first: str, last: str) -> str:
    return first if first == last else f"[{first}-{last}]"
