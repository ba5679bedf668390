"""Finds texts for people that say a thing in our own idiom rather than in the words of the field.

`python -m tests.words [FOLDER ...]` prints them; a test holds that there are none.
"""

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from tests import house

IDIOMS: Final = {
    r"told|tells?": "reported, shown, served",
    r"stands?|standing": "is, exists",
    r"nobody('s)?|somebody": "say who, or what is missing",
    r"nowhere|not to be found": "does not exist, is missing",
    r"lacks?": "is missing",
    r"(is|are) wanted": "expected ...",
    r"(was|were) found": "found ...",
    r"where .* was asked for": "instead of",
    r"(given|taken) back": "released",
    r"passed over": "ignored",
    r"mend": "correct, fix, repair",
    r"otherwise than": "differs from",
}
"""What one author would say, and what an operator searches for."""

SPARED: Final = {
    "cannot tell whose": "to tell is to distinguish",
    "tell members apart": "to tell is to distinguish",
}
"""Texts that may say so all the same, and why."""

_PATTERN: Final = re.compile(rf"\b({'|'.join(IDIOMS)})\b", re.IGNORECASE)


def idioms(roots: Iterable[Path]) -> Iterator[str]:
    """Yield each idiom in a text that people may read, with its place."""
    for path in house.modules_of(roots):
        for line, text in _texts(ast.parse(path.read_text(encoding="utf-8"))):
            idiom = _PATTERN.search(text)
            if idiom and not any(spared in text for spared in SPARED):
                yield f"{path}:{line}: {idiom[0]!r} in {text!r}"


def _texts(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield literals of several words and their lines; of docstrings only those that are a help."""
    docstrings = {node.value for node in ast.walk(module) if isinstance(node, ast.Expr)}
    helps = {
        node.body[0].value
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef)
        and isinstance(node.body[0], ast.Expr)
        and any("command" in ast.unparse(decorator) for decorator in node.decorator_list)
    }
    literals = (node for node in ast.walk(module) if isinstance(node, ast.Constant))
    for node in literals:
        value = node.value
        if isinstance(value, str) and " " in value.strip() and node not in docstrings - helps:
            yield node.lineno, value


if __name__ == "__main__":
    sys.stdout.write("\n".join(idioms([Path(name) for name in sys.argv[1:]] or house.ROOTS)) + "\n")
