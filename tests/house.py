"""Counts what a newcomer meets in the source: sizes of functions, and names that say nothing.

`python -m tests.house [FOLDER ...]` prints a row; a test holds it within bounds.
"""

import ast
import statistics
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOTS: Final = (Path("sriovbond"), Path("deviceinfo"))
GENERATED: Final = "_pb2.py"
PRONOUNS: Final = frozenset({"one", "told", "found", "given", "wanted", "asked", "others", "thing"})
"""Locals and attributes that say neither what they hold nor where it is from."""
_PARTICIPLES: Final = """
        added answered asked begun brought built called chosen counted covered decoded done
        ended filled found given gone granted heard held judged known left listed lost lying
        made meant measured named noted numbered opened ordered parsed placed planned proven
        refused released repaired said seen selected sent served shown spared standing
        stopped stored taken told tried typed understood used wanted watched written
    """
PARTICIPLES: Final = frozenset(_PARTICIPLES.split())
"""A function's name is a verb. These say what became of it, or nothing."""
LONG: Final = 25

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class House:
    """Shares are in percent; `homonyms` are public class names that two modules have."""

    functions: int
    median_lines: float
    long_share: float
    pronoun_share: float
    pronoun_attributes: int
    participle_share: float
    homonyms: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{self.functions} functions, median {self.median_lines:g} lines, "
            f"{self.long_share:.1f} % over {LONG}; locals that say nothing "
            f"{self.pronoun_share:.1f} %, attributes {self.pronoun_attributes}; "
            f"functions named by a participle {self.participle_share:.1f} %; "
            f"public classes of one name: {', '.join(self.homonyms) or 'none'}"
        )


def count(roots: Iterable[Path]) -> House:
    """Read every module below the folders, generated ones left out."""
    modules = [ast.parse(path.read_text(encoding="utf-8")) for path in modules_of(roots)]
    functions = [
        node for module in modules for node in ast.walk(module) if isinstance(node, Function)
    ]
    sizes = [_lines(function) for function in functions]
    names = [name for function in functions for name in bound_names(function)]
    classes = Counter(name for module in modules for name in _public_classes(module))
    return House(
        functions=len(functions),
        median_lines=statistics.median(sizes),
        long_share=_share(size > LONG for size in sizes),
        pronoun_share=_share(name in PRONOUNS for name in names),
        pronoun_attributes=len(
            {name for module in modules for name in _attributes(module) if name[1] in PRONOUNS}
        ),
        participle_share=_share(
            function.name.strip("_").split("_")[0] in PARTICIPLES
            for function in functions
            if not _is_noun(function)
        ),
        homonyms=tuple(sorted(name for name, number in classes.items() if number > 1)),
    )


def modules_of(roots: Iterable[Path]) -> Iterator[Path]:
    """Yield the modules that people have written."""
    for root in roots:
        yield from sorted(path for path in root.rglob("*.py") if not path.name.endswith(GENERATED))


def bound_names(function: Function) -> Iterator[str]:
    """Yield each name that the function itself binds, once a binding; parameters left out."""
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _attributes(module: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield class and name of each attribute that is set, underscores left out."""
    for owner in (node for node in ast.walk(module) if isinstance(node, ast.ClassDef)):
        for node in ast.walk(owner):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                yield owner.name, node.attr.strip("_")
        for node in owner.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                yield owner.name, node.target.id.strip("_")


def _is_noun(function: Function) -> bool:
    """Return whether it reads as a value: a property, or `with opened(path) as namespace`."""
    names = {ast.unparse(decorator) for decorator in function.decorator_list}
    return not names.isdisjoint(
        ("property", "cached_property", "contextmanager", "contextlib.contextmanager")
    )


def _lines(function: Function) -> int:
    """Return the lines of a function's body, its docstring left out."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 1


def _public_classes(module: ast.Module) -> Iterator[str]:
    for node in module.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node.name


def _share(holds: Iterable[bool]) -> float:
    answers = list(holds)
    return 100 * sum(answers) / len(answers) if answers else 0.0


if __name__ == "__main__":
    sys.stdout.write(f"{count([Path(name) for name in sys.argv[1:]] or ROOTS)}\n")
