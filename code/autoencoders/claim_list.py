"""The claims that the book tests: what the five texts behind it say, and the experiment that can refute each.

The texts go by the letters of the appendix on coverage. `claims.judge` gives the verdict.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Claim:
    """A statement of one of the texts, and the experiment that can refute it.

    Args:
        statement: what is claimed, in the book's words.
        source: the text's letter and section, as in the appendix on coverage.
        chapter: label of the chapter that has the experiment.
        experiment: what is trained on what, and compared how.
        effect: the quantity whose sign decides, with its unit.
        margin: effects up to this size count as none.
    """

    name: str
    statement: str
    source: str
    chapter: str
    experiment: str
    effect: str
    margin: float = 0.0


CLAIMS = {
    name: Claim(name, **fields)
    for name, fields in tomllib.loads(
        (Path(__file__).parent / "_data" / "claims.toml").read_text(encoding="utf-8")
    ).items()
}
