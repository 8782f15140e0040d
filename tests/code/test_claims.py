"""The claims ledger: a verdict follows from the effects, and from nothing else."""

import json
import re
from html import unescape

import pytest

from autoencoders import claims


@pytest.mark.parametrize(
    ("effects", "verdict"),
    [
        ([0.2, 0.3, 0.1], "holds"),
        ([-0.2, 0.04, 0.0], "does not hold"),
        ([0.2, 0.3, -0.1], "depends on the seed (right in 2 of 3)"),
        ([0.05, 0.05, 0.05], "does not hold"),  # an effect of the margin's size counts as none
        ([0.2, 0.3, 0.05], "depends on the seed (right in 2 of 3)"),
        ([0.2, 0.04, 0.01], "depends on the seed (right in 1 of 3)"),
        ({"a": [0.2, 0.2, -1.0], "b": [0.2, -0.3, -0.3]}, "depends on the seed (right in 3 of 6)"),
        ({"a": [0.2] * 3, "b": [0.3] * 4}, "holds"),
        ({"a": [0.2] * 3, "b": [-0.3] * 3}, "depends: holds for a; does not hold for b"),
        ({"a": [0.2] * 3, "b": [-0.3] * 3, "c": [0.4] * 3}, "depends: holds for a / c; does not hold for b"),
        (
            {"a": [0.2, 0.2, -1.0], "b": [-0.3] * 3},
            "depends: undecided for a (right in 2 of 3); does not hold for b",
        ),
    ],
)
def test_the_verdict_is_computed_from_the_effects(effects, verdict):
    assert claims.judge("ae-samples-worse", effects).verdict == verdict  # its margin is 0.05


@pytest.mark.parametrize(
    ("name", "effects", "message"),
    [
        ("nonsense", [1, 2, 3], "no claim 'nonsense'"),
        ("ae-samples-worse", [1.0, 2.0], "at least three seeds"),
        ("ae-samples-worse", {"a": [1.0, 2.0, 3.0], "b": [1.0]}, "under 'b'"),
        ("ae-samples-worse", [1.0, float("nan"), 1.0], "not all are numbers"),
        ("ae-samples-worse", {}, "no effects"),
    ],
)
def test_what_is_no_measurement_is_refused(name, effects, message):
    with pytest.raises(ValueError, match=message):
        claims.judge(name, effects)


def test_a_claim_is_had_by_its_name_and_another_name_is_refused_with_those_there_are():
    assert claims.get("ae-samples-worse") is claims.judge("ae-samples-worse", [1.0] * 3).claim
    with pytest.raises(ValueError, match="no claim 'nonsense'; the claims are ae-plane-off-center, "):
        claims.get("nonsense")


def test_a_finding_shows_itself_and_carries_its_record():
    found = claims.judge("ae-samples-worse", {"a & b": [0.2, 0.3, 0.1]})
    page = found._repr_html_()
    assert "a &amp; b: +0.2 (+0.1 to +0.3), 3 seeds" in page and "holds" in repr(found)
    (record,) = re.findall(r'data-finding="([^"]*)"', page)
    assert json.loads(unescape(record)) == {"claim": "ae-samples-worse", "effects": {"a & b": [0.2, 0.3, 0.1]}}
    assert 'id="claim-ae-samples-worse"' in page
    table = claims.table([json.loads(unescape(record))], {"ae-samples-worse": "<a>x</a>"})
    assert "<a>x</a>" in table and 'id="claim-ae-samples-worse"' in table


def test_the_table_is_in_the_order_of_the_book_and_each_verdict_stands_by_its_claim():
    effects = {
        "more-epochs-better-samples": [-1.0, -1.0, -1.0],
        "ae-samples-worse": {"a": [1.0, 1.0, 1.0], "b": [-1.0, -1.0, -1.0]},
        "vae-centered": [0.2, 0.1, 0.2],
    }
    table = claims.table([{"claim": name, "effects": found} for name, found in effects.items()], {})
    overview, *details = table.split('<table class="ae-check ae-claim" id="claim-')
    order = ["vae-centered", "ae-samples-worse", "more-epochs-better-samples"]
    assert re.findall(r'href="#claim-([^"]*)"', overview) == order == [detail.split('"')[0] for detail in details]
    assert re.findall(r"<td>([^<]*)</td>", overview) == ["holds", "depends", "does not hold"]
    for name, detail in zip(order, details, strict=True):
        assert f"<td>{claims.judge(name, effects[name]).verdict}</td>" in detail


def test_every_claim_says_all_there_is_to_say():
    assert len(claims.names()) >= 10
    for name in claims.names():
        claim = claims.get(name)
        assert claim.name == name and claim.chapter.startswith("ch-") and claim.margin >= 0
        assert all((claim.statement, claim.source, claim.experiment, claim.effect))
        assert name in claims.names(claim.chapter)
