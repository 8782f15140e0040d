"""Look for solutions and hidden tests in everything that a built edition consists of.

What is secret is read from the chapters line by line and not with `teaching.source`, so that a fault there is not repeated
here: the names of hidden tests, every line of a solution that stands nowhere in the text for everyone, and a canary, a
word made from the name of a solution or hidden test, which the filter plants in each before it leaves them out.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

from teaching.scan import Phrases, readings, squeeze

PRIVATE_FOLDERS = ("solutions", "instructors")
CANARY = re.compile(rb"canary[0-9a-f]{16}")
TEST_NAME = re.compile(rb"\btest_\w+")
FENCE = re.compile(r"^ *(?P<fence>`{3,}|:{3,})\{(?P<name>[\w:-]+)\} *(?P<argument>.*)$")
OPTION = re.compile(r"^ *(?::[\w-]+:|- \(\d+\)) ")  # before a message of a test, or a line of a rubric
MARK = "SOLUTION"
SHORTEST = {"code": 20, "prose": 32}  # letters, digits and underscores; shorter lines could stand anywhere
APART = re.compile(r"\{[\w:-]+\}`[^`]*`|\$|[^\x00-\x7f]+")  # where a page shows something else than its source says
SHOWN = 20  # leaks that a message lists


class LeakError(ValueError):
    """A built edition holds what its readers are not to see."""


@dataclass(frozen=True)
class Region:
    """Lines of a chapter, or of a file of solutions, that not everyone gets."""

    owner: str  # the exercise that they belong to
    kind: str  # answer, hidden test, solution, rubric, wrong answer, teaching note
    first: int  # index of the first line
    last: int  # index of the last
    is_code: bool


@dataclass
class Secrets:
    """What an edition must not contain, each with the exercise that it gives away."""

    canaries: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    lines: dict[bytes, str] = field(default_factory=dict)  # squeezed
    texts: dict[bytes, str] = field(default_factory=dict)  # the same lines as they were written


def canary(owner: str, kind: str) -> str:
    """The word that stands for a secret: the same at every call, and nowhere else."""
    return "canary" + hashlib.sha256(f"{kind} of {owner}".encode()).hexdigest()[:16]


def regions(text: str, page: str) -> list[Region]:
    """The private parts of a chapter's `text`, in order. `page` names them where no exercise does."""
    lines = text.split("\n")
    found: list[Region] = []
    owner, at = page, 0
    gate = begun = -1
    while at < len(lines):
        line, opening = lines[at], FENCE.match(lines[at])
        if line.strip().startswith("#") and MARK in line:
            if "BEGIN" in line:
                begun = at
            elif begun >= 0:
                found.append(Region(owner, "answer", begun + 1, at - 1, is_code=True))
                begun = -1
        if opening and begun < 0:
            name, end = opening["name"], _closing(lines, at, opening["fence"])
            head = "\n".join(lines[at : _head(lines, at, end)])
            if name in ("exercise", "exercise-start"):
                label = re.search(r"^ *:?label: *(\S+)", head, re.MULTILINE)
                owner = label[1] if label else owner
            if name in ("solution", "solution-start"):
                owner = opening["argument"].strip() or owner
            kind = _kind(name, head)
            if name == "solution-start":
                gate = at
            elif name == "solution-end" and gate >= 0:
                found.append(Region(owner, "solution", gate, end, is_code=False))
                gate = -1
            elif kind and gate < 0:
                found.append(Region(owner, kind, at, end, is_code=name == "code-cell"))
                at = end
        at += 1
    return found


def _closing(lines: list[str], at: int, fence: str) -> int:
    closing = re.compile(rf"^ *{re.escape(fence[0])}{{{len(fence)},}} *$")
    return next((i for i in range(at + 1, len(lines)) if closing.match(lines[i])), len(lines) - 1)


def _head(lines: list[str], at: int, end: int) -> int:
    """Where the options of the directive at `at` end."""
    if at + 1 < end and lines[at + 1].strip() == "---":
        return next((i + 1 for i in range(at + 2, end) if lines[i].strip() == "---"), end)
    return next((i for i in range(at + 1, end) if not lines[i].lstrip().startswith(":")), end)


def _kind(name: str, head: str) -> str:
    if name == "code-cell":
        tags = re.search(r"^ *:?tags: *(.*(?:\n *- .*)*)", head, re.MULTILINE)
        words = set(re.findall(r"[\w-]+", tags[1])) if tags else set[str]()
        return "hidden test" if "hidden-test" in words else "wrong answer" if "wrong" in words else ""
    if name == "solution":
        return "solution"
    for word, kind in (("rubric", "rubric"), ("teaching-note", "teaching note")):
        if name == "admonition" and re.search(rf"^ *:?class: .*\b{word}\b", head, re.MULTILINE):
            return kind
    return ""


def plant(text: str, page: str) -> str:
    """`text` with a canary in each of its private parts."""
    lines = text.split("\n")
    for region in reversed(regions(text, page)):
        word = canary(region.owner, region.kind)
        if region.kind == "answer":
            indent = lines[region.first - 1][: len(lines[region.first - 1]) - len(lines[region.first - 1].lstrip())]
            lines.insert(region.first, f"{indent}# {word}")
        else:
            lines.insert(region.last, f"# {word}" if region.is_code else word)
    return "\n".join(lines)


def planted(text: str) -> str:
    """The first canary in `text`, or nothing."""
    found = CANARY.search(text.encode())
    return found[0].decode() if found else ""


def secrets(root: Path, *, self_check: bool) -> Secrets:
    """What an edition of the book under `root` must not contain; with `self_check` it has these exercises' solutions.

    Raises:
        ValueError: a hidden test has the name of a visible one, so that finding it would not tell.
    """
    found, public = Secrets(), [path.read_text(encoding="utf-8") for path in _package(root)]
    shown = self_checked(root) if self_check else set[str]()
    private: list[tuple[str, bool, str]] = []
    for path in sorted((root / "book").rglob("*.md")):
        text, page = path.read_text(encoding="utf-8"), path.relative_to(root).as_posix()
        lines = text.split("\n")
        folder = path.relative_to(root / "book").parts[0]
        is_private = folder in PRIVATE_FOLDERS
        taken: set[int] = set()
        for region in regions(text, page):
            if region.kind == "solution" and folder == "solutions" and region.owner in shown:
                public.append("\n".join(lines[region.first : region.last + 1]))
                taken |= {*range(region.first, region.last + 1)}
                continue
            taken |= {*range(region.first, region.last + 1)}
            body = lines[region.first : region.last + 1]
            found.canaries[canary(region.owner, region.kind)] = f"the {region.kind} of {region.owner}"
            if region.kind == "hidden test":
                for name in re.findall(r"^def (test_\w+)", "\n".join(body), re.MULTILINE):
                    found.names[name] = f"the hidden test of {region.owner}"
            private += [(line, region.is_code, f"the {region.kind} of {region.owner}") for line in body]
        rest = [line for number, line in enumerate(lines) if number not in taken]
        if folder == "instructors":
            private += [(line, False, page) for line in rest]
        elif not is_private:
            public.append("\n".join(rest))
    _add_lines(found, private, squeeze("\n".join(public).encode()))
    visible = {name.decode() for text in public for name in TEST_NAME.findall(text.encode())}
    if both := sorted(visible & set(found.names)):
        raise ValueError(f"a hidden test has the name of something that everyone sees: {', '.join(both)}; rename it")
    return found


def _add_lines(found: Secrets, private: list[tuple[str, bool, str]], public: bytes) -> None:
    """The lines long enough to tell, but for those that stand in the `public` text too."""
    candidates: dict[bytes, tuple[str, str]] = {}
    for line, is_code, owner in private:
        for part in APART.split(OPTION.sub("", line).strip()):
            key = squeeze(part.encode())
            if len(key) >= SHORTEST["code" if is_code else "prose"]:
                candidates.setdefault(key, (owner, part.strip()))
    everyone = Phrases(candidates).found(public)
    for key, (owner, part) in candidates.items():
        if key not in everyone:
            found.lines[key], found.texts[key] = owner, part


def self_checked(root: Path) -> set[str]:
    """The labels of the exercises whose solution stands on the public page."""
    found = set()
    for path in sorted((root / "book").rglob("*.md")):
        for block in re.findall(r"\{exercise(?:-start)?\}[^\n]*\n((?: *:[^\n]*\n)*)", path.read_text(encoding="utf-8")):
            label = re.search(r":label: *(\S+)", block)
            if label and re.search(r":class:.*\bself-check\b", block):
                found.add(label[1])
    return found


def _package(root: Path) -> list[Path]:
    """The files of the package, whose functions the chapters show."""
    return [path for path in sorted((root / "code").rglob("*")) if path.suffix in (".py", ".js")]


def scan(folder: Path, hidden: Secrets) -> list[str]:
    """What of the `hidden` stands in which file under `folder`, one line each."""
    phrases, leaks = Phrases(hidden.lines), []
    stems = {_stem(name): name for name in hidden.names}
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        file, seen = path.relative_to(folder).as_posix(), set[str]()
        for content in readings(path.name, path.read_bytes()):
            for word in {match.decode() for match in CANARY.findall(content)} & set(hidden.canaries):
                seen.add(f"`{word}`, planted in {hidden.canaries[word]}")
            names = {match.decode() for match in TEST_NAME.findall(content)}
            names |= {stems[name] for name in names if name in stems and path.name == "searchindex.js"}
            seen |= {f"`{name}`, {hidden.names[name]}" for name in names & set(hidden.names)}
            for key in phrases.found(squeeze(content)):
                seen.add(f"`{hidden.texts[key][:100]}`, from {hidden.lines[key]}")
        leaks += [f"{file}: {leak}" for leak in sorted(seen)]
    return leaks


def _stem(name: str) -> str:
    """A word as the search index has it."""
    from sphinx.search.en import SearchEnglish

    return SearchEnglish({}).stem(name.lower())


def check(root: Path, edition: str, *folders: Path) -> int:
    """Scan what was built of an edition, and return the number of files scanned.

    Raises:
        LeakError: something secret stands in one of them.
    """
    hidden = secrets(root, self_check=edition == "public")
    leaks = [f"{folder.name}/{leak}" for folder in folders for leak in scan(folder, hidden)]
    if leaks:
        more = [f"... and {len(leaks) - SHOWN} more"] if len(leaks) > SHOWN else []
        raise LeakError("\n".join([f"The {edition} edition gives away what it must not:", *leaks[:SHOWN], *more]))
    return sum(path.is_file() for folder in folders for path in folder.rglob("*"))
