"""Finds texts, docstrings, comments and names of tests that are not in the words of the field.

`python -m tests.words [FOLDER ...]` prints them; a test holds that there are none.
"""

import ast
import io
import re
import sys
import tokenize
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

IN_SOURCE: Final = {
    r"whoever|whom": "name the process, the call or the user",
    r"who (asks?|has|have|is|may|waits?)": "the caller, the waiting calls, the process that ...",
    r"(give|gives|take|takes) back": "release, restore, put back",
    r"passes over|passing over": "ignores, skips",
    r"sees? to it": "makes sure",
    r"as good as|amiss": "counts as, malformed",
    r"(is|are|was|were) asked for": "requested",
    r"is not there|are not there|where (none|nothing) is": "missing, does not exist",
    r"take note|takes note|take it that": "record, note",
    r"say whether|claim (what|that)": "return whether",
    r"is no more than|in nobody's way|the one road": "say what happens",
    r"heard of|hear of|hears of": "receive, be notified of",
}
"""What no reader of the source can search for, and the words to take; beside those above."""

SPARED: Final = {
    "cannot tell whose": "to tell is to distinguish",
    "tell members apart": "to tell is to distinguish",
}
"""Texts that may say so all the same, and why."""

_PATTERN: Final = re.compile(rf"\b({'|'.join(IDIOMS)})\b", re.IGNORECASE)
_NAME_PATTERN: Final = re.compile(
    rf"\b({'|'.join([*IDIOMS, *IN_SOURCE, 'what'])})\b", re.IGNORECASE
)
_SOURCE_PATTERN: Final = re.compile(rf"\b({'|'.join([*IDIOMS, *IN_SOURCE])})\b", re.IGNORECASE)
_CODE: Final = re.compile(r"`[^`]*`")
_C_TEXT: Final = re.compile(r'"((?:[^"\\\n]|\\.)*)"')


def idioms(roots: Iterable[Path]) -> Iterator[str]:
    """Yield each idiom in a text that people may read, with its place."""
    roots = list(roots)
    for path in house.modules_of(roots):
        for line, text in _texts(ast.parse(path.read_text(encoding="utf-8"))):
            idiom = _PATTERN.search(text)
            if idiom and not any(spared in text for spared in SPARED):
                yield f"{path}:{line}: {idiom[0]!r} in {text!r}"
    for path in (path for root in roots for path in sorted(root.rglob("*.c"))):
        for text in _C_TEXT.findall(path.read_text(encoding="utf-8")):
            idiom = _PATTERN.search(text)
            if idiom:
                yield f"{path}: {idiom[0]!r} in {text!r}"


def source_idioms(roots: Iterable[Path]) -> Iterator[str]:
    """Yield each idiom in a docstring or a comment, with its place; code in backticks is none."""
    for path in house.modules_of(roots):
        source = path.read_text(encoding="utf-8")
        for line, text in [*_docstrings(source), *_comments(source)]:
            idiom = _SOURCE_PATTERN.search(_CODE.sub("", text))
            if idiom:
                yield f"{path}:{line}: {idiom[0]!r} in {text!r}"


def names_of_tests(roots: Iterable[Path]) -> Iterator[str]:
    """Yield each test whose name has an idiom or "what", which names nothing, with its place."""
    for path in house.modules_of(roots):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                idiom = _NAME_PATTERN.search(node.name.replace("_", " "))
                if idiom:
                    yield f"{path}:{node.lineno}: {idiom[0]!r} in {node.name}"


def _docstrings(source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.lineno, str(node.value.value)


def _comments(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


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
    folders = [Path(name) for name in sys.argv[1:]] or house.ROOTS
    names = names_of_tests([Path("tests")])
    sys.stdout.write("\n".join([*idioms(folders), *source_idioms(folders), *names]) + "\n")
