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
        return f'<table class="ae-check ae-claim" data-finding="{record}"><tbody>{body}</tbody></table>'


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
    if name not in _CLAIMS:
        raise ValueError(f"there is no claim {name!r}; the claims are {', '.join(_CLAIMS)}")
    return _CLAIMS[name]


def names(chapter: str | None = None) -> list[str]:
    """The claims that are known, all or those of one chapter (its label)."""
    return [name for name, claim in _CLAIMS.items() if chapter in (None, claim.chapter)]


def table(findings: Sequence[Mapping[str, Any]], links: Mapping[str, str]) -> str:
    """All findings as HTML, in the order of the book: a list of verdicts, and then each claim with its experiment.

    Args:
        findings: records `{"claim": name, "effects": ...}`, as the pages carry them.
        links: chapter label -> HTML of a link to it.
    """
    by_name = {record["claim"]: record["effects"] for record in findings}
    judged = [judge(name, by_name[name]) for name in _CLAIMS if name in by_name]
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
        + _rows([["chapter", links.get(found.claim.chapter, "")]])
        + "</tbody></table>"
        for found in judged
    )
    return f'<table class="ae-check">{head}<tbody>{overview}</tbody></table>{details}'


def _rows(rows: Iterable[Sequence[str]]) -> str:
    return "".join(
        f"<tr><th scope='row'>{first}</th>" + "".join(f"<td>{cell}</td>" for cell in rest) + "</tr>"
        for first, *rest in rows
    )


_CLAIMS = {
    claim.name: claim
    for claim in (
        Claim(
            "ae-plane-off-center",
            "The codes of a two-latent autoencoder are not centered on the origin and leave gaps between the classes",
            "N",
            "ch-latent-space",
            "ae-digits-2 on 8,000 digits",
            "distance of the codes' median from the origin, in their standard deviations; share of their box that is gap",
            margin=0.1,
        ),
        Claim(
            "digits-beyond-mixture",
            "Handwritten digits are more complex than a mixture",
            "K",
            "ch-generative",
            "continuous against finite mixtures: VAEs (128 hidden units, 10 epochs) and mixtures of up to 300 Bernoulli "
            "components, all on 8,000 binarized digits",
            "log p(x) on 250 test digits, the VAE's (100 importance samples) less the best finite mixture's, nats a picture",
            margin=1.0,
        ),
        Claim(
            "prior-draws-wasted",
            "Estimating p(x) from draws of the prior is inefficient, and the more so the more latents there are",
            "G 2.1.1",
            "ch-generative",
            "2 and 20 latents: a linear-Gaussian model, and VAEs (128 hidden units, 10 epochs) on 100 binarized test digits",
            "log10 of the effective sample size with 2 latents over that with 20",
            margin=0.3,
        ),
        Claim(
            "metropolis-converges",
            "A Metropolis chain can be run until it samples the true posterior p(z|x): doable",
            "L",
            "ch-elbo",
            "vae-digits-2: 12 test digits, 20 chains each, from draws of the prior, 500 steps of 0.1",
            "0.05 less the share of chains that end outside the region with 99 % of the posterior (1 % would be right)",
        ),
        Claim(
            "squared-error-narrows-codes",
            "The squared error keeps the variance of a VAE's codes low",
            "N",
            "ch-gaussian-vae",
            "Gaussian VAEs of gray digits, the same network with five pixel variances c; the error weighs 1 / 2c",
            "mean log-variance of the test codes at the larger c less that at the smaller",
            margin=0.1,
        ),
        Claim(
            "ae-vae-separable",
            "A VAE's latent space separates the classes better than an autoencoder's",
            "L",
            "ch-training-vae",
            "autoencoders and VAEs with the same networks, 2 and 20 latents: classes read off the posterior means of test digits",
            "accuracy (neighbors, linear) or silhouette of the VAE's codes less that of the autoencoder's",
            margin=0.01,
        ),
        Claim(
            "vae-centered",
            "A VAE's codes are centered, with a spread of about one",
            "L",
            "ch-training-vae",
            "vae-digits-2 and vae-digits: a draw from q(z|x) for each training digit, against N(0, I)",
            "0.25 less the largest deviation of a coordinate's mean from 0, or of its standard deviation from 1",
        ),
        Claim(
            "score-function-noisier",
            "Score-function gradients have a higher variance than reparameterized ones",
            "G 2.3",
            "ch-score-function",
            "the encoder's gradient of one batch, one draw a picture: VAEs with 2, 10 and 40 latents, fresh and trained",
            "log10 of the score function's variance over the reparameterized one's",
        ),
        Claim(
            "ae-samples-worse",
            "Pictures decoded from N(0, I) are far worse for an autoencoder than for a VAE",
            "G 2.4.4",
            "ch-generation",
            "autoencoder and VAE, 10 latents, 25 epochs of 8,000 digits: share of 1,000 samples read with p > 0.9",
            "the share from the VAE's prior less the autoencoder's",
            margin=0.05,
        ),
        Claim(
            "more-epochs-better-samples",
            "Samples are better after 25 epochs than after 5",
            "G 2.4.4",
            "ch-generation",
            "autoencoder and VAE, 10 latents, 5 and 25 epochs of 8,000 digits: share of 1,000 samples read with p > 0.9",
            "the share after 25 epochs less that after 5",
            margin=0.01,
        ),
        Claim(
            "ae-reconstructs-better",
            "An autoencoder reconstructs better than a VAE",
            "G 2.4.1",
            "ch-ablations",
            "the same networks with and without the KL term, several numbers of latents: MSE a pixel on test digits",
            "log of the VAE's error over the autoencoder's",
            margin=0.01,
        ),
        Claim(
            "smaller-weight-reconstructs-better",
            "A smaller KL weight gives better reconstructions",
            "G 2.4.1",
            "ch-ablations",
            "VAEs that differ in the weight of the KL term: MSE a pixel on test digits",
            "log of the error at the next larger weight over the error at this one",
            margin=0.01,
        ),
        Claim(
            "latent-size-no-effect",
            "The number of latents has no clear effect on the reconstructions",
            "G 2.4.1",
            "ch-ablations",
            "autoencoders and VAEs with few and with many latents: MSE a pixel on test digits",
            "0.1 less the absolute log of the ratio of the two errors",
        ),
        Claim(
            "vae-denoises-better",
            "A VAE removes noise better than an autoencoder, the more so the more noise there is",
            "G 2.4.3",
            "ch-ablations",
            "autoencoder and VAE trained to denoise at 0.25, 0.5 and 0.75: MSE a pixel on test digits",
            "log of the autoencoder's error over the VAE's",
            margin=0.01,
        ),
        Claim(
            "outputs-grow-without-commitment",
            "Without the commitment loss the outputs of a VQ-VAE's encoder grow without bound",
            "G 3.2.3",
            "ch-straight-through",
            "small VQ-VAEs of 8,000 digits, 300 steps, 128 codes: commitment weights 0 and 0.25",
            "log10 of the outputs' root mean square without commitment over that with it, test digits",
            margin=0.3,
        ),
        Claim(
            "codebook-grows-without-commitment",
            "Without the commitment loss the codebook of a VQ-VAE grows arbitrarily large",
            "N",
            "ch-straight-through",
            "small VQ-VAEs of 8,000 digits, 300 steps, 128 codes: commitment weights 0 and 0.25",
            "log10 of the root mean square of the codes in use without commitment over that with it, test digits",
            margin=0.3,
        ),
    )
}
