"""What the five texts behind the book claim, put to the test: `judge(name, effects)` gives the verdict the numbers give.

Every claim is worded so that its effect is a number that is positive where the claim is right: a difference, the logarithm
of a ratio, a correlation. The verdict is computed from one such number a seed, and from nothing else.
"""

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from autoencoders.claim_list import CLAIMS, Claim


@dataclass(frozen=True)
class Finding:
    """A claim with what was measured: for each condition of the experiment one effect a seed."""

    claim: Claim
    effects: dict[str, list[float]]

    @property
    def verdict(self) -> str:
        """ "holds" or "does not hold" where all seeds of all conditions agree, else what it depends on."""
        kinds = {condition: self._kind(values) for condition, values in self.effects.items()}
        if len(set(kinds.values())) == 1:
            kind = next(iter(kinds.values()))
            return kind if kind != "undecided" else f"depends on the seed ({self._tally(*self.effects.values())})"
        parts = []
        for kind in dict.fromkeys(kinds.values()):
            group = [condition for condition, found in kinds.items() if found == kind]
            tally = f" ({self._tally(*(self.effects[c] for c in group))})" if kind == "undecided" else ""
            parts.append(f"{kind} for {' / '.join(group)}{tally}")
        return "depends: " + "; ".join(parts)

    def _kind(self, values: Sequence[float]) -> str:
        right = sum(value > self.claim.margin for value in values)
        return "holds" if right == len(values) else "does not hold" if right == 0 else "undecided"

    def _tally(self, *groups: Sequence[float]) -> str:
        values = [value for group in groups for value in group]
        return f"right in {sum(value > self.claim.margin for value in values)} of {len(values)}"

    def measured(self) -> list[str]:
        """Median and range of the effect, a line a condition."""
        lines = []
        for condition, values in self.effects.items():
            low, high = min(values), max(values)
            numbers = f"{statistics.median(values):+.2g} ({low:+.2g} to {high:+.2g}), {len(values)} seeds"
            lines.append(f"{condition}: {numbers}" if condition else numbers)
        return lines

    def rows(self) -> list[tuple[str, list[str]]]:
        """What a table of the finding shows: headings with their lines."""
        return [
            ("claim", [f"{self.claim.statement} ({self.claim.source})"]),
            ("experiment", [self.claim.experiment]),
            (f"effect: {self.claim.effect}", self.measured()),
            ("verdict", [self.verdict]),
        ]

    def __repr__(self) -> str:
        return "\n".join(f"{heading}: {'; '.join(lines)}" for heading, lines in self.rows())

    def _repr_html_(self) -> str:
        body = _rows([escape(heading), "<br>".join(map(escape, lines))] for heading, lines in self.rows())
        record = escape(json.dumps({"claim": self.claim.name, "effects": self.effects}))
        opening = f'<table class="ae-check ae-claim" data-finding="{record}" id="claim-{self.claim.name}">'
        return f"{opening}<tbody>{body}</tbody></table>"


def judge(name: str, effects: Sequence[float] | Mapping[str, Sequence[float]]) -> Finding:
    """Put the claim called `name` to the test.

    Args:
        effects: one number a seed, positive where the claim is right; or such a list for each condition.

    Raises:
        ValueError: the claim is not known, there are fewer than three seeds, or an effect is not a finite number.
    """
    claim = get(name)
    groups = effects if isinstance(effects, Mapping) else {"": effects}
    numbers = {str(condition): [float(value) for value in values] for condition, values in groups.items()}
    for condition, values in numbers.items():
        where = f" under {condition!r}" if condition else ""
        if len(values) < 3:
            raise ValueError(f"a claim is judged by at least three seeds, not {len(values)}{where}; train more")
        if not all(map(math.isfinite, values)):
            raise ValueError(f"the effects{where} are {values}: not all are numbers; look for a run that failed")
    if not numbers:
        raise ValueError("there are no effects; give one number a seed")
    return Finding(claim, numbers)


def get(name: str) -> Claim:
    """The claim called `name`.

    Raises:
        ValueError: there is none.
    """
    if name not in CLAIMS:
        raise ValueError(f"there is no claim {name!r}; the claims are {', '.join(CLAIMS)}")
    return CLAIMS[name]


def names(chapter: str | None = None) -> list[str]:
    """The claims that are known, all or those of one chapter (its label)."""
    return [name for name, claim in CLAIMS.items() if chapter in (None, claim.chapter)]


def table(findings: Sequence[Mapping[str, Any]], links: Mapping[str, str]) -> str:
    """All findings as HTML, in the order of the book: a list of verdicts, and then each claim with its experiment.

    Args:
        findings: records `{"claim": name, "effects": ...}`, as the pages carry them.
        links: name of a claim -> HTML of a link to the cell that judges it.
    """
    by_name = {record["claim"]: record["effects"] for record in findings}
    judged = [judge(name, by_name[name]) for name in CLAIMS if name in by_name]
    overview = _rows(
        [
            f'<a href="#claim-{found.claim.name}">{escape(found.claim.statement)}</a>',
            escape(found.verdict.split(":")[0]),
        ]
        for found in judged
    )
    head = "<thead><tr><th scope='col'>claim</th><th scope='col'>verdict</th></tr></thead>"
    details = "".join(
        f'<table class="ae-check ae-claim" id="claim-{found.claim.name}"><tbody>'
        + _rows([escape(heading), "<br>".join(map(escape, lines))] for heading, lines in found.rows())
        + _rows([["cell", links.get(found.claim.name, "")]])
        + "</tbody></table>"
        for found in judged
    )
    return f'<table class="ae-check">{head}<tbody>{overview}</tbody></table>{details}'


def _rows(rows: Iterable[Sequence[str]]) -> str:
    return "".join(
        f"<tr><th scope='row'>{first}</th>" + "".join(f"<td>{cell}</td>" for cell in rest) + "</tr>"
        for first, *rest in rows
    )
