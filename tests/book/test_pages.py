"""The built pages: clean, complete, and nothing in them leads nowhere."""

import html
import json
import re

import checkers
import toc
from jupyter_cache import get_cache

from autoencoders import claims
from teaching import site as build


def test_build_was_clean(site):
    log = (site.parent / "build.log").read_text(encoding="utf-8")
    assert re.findall(r".*(?:WARNING|ERROR|CRITICAL):.*", log) == []
    assert "build succeeded" in log or "Finished generating HTML" in log


def test_index_leads_to_the_root_page(site):
    index = (site / "index.html").read_text(encoding="utf-8")
    assert f"{toc.PAGES[0]}.html" in index


def test_page_is_built(built):
    assert built.is_file()


def test_links_and_anchors_resolve(built):
    assert checkers.broken_links(built) == []


def test_nothing_is_fetched_from_another_host(built):
    assert checkers.foreign_assets(built) == []


def test_images_say_what_they_show(built):
    assert checkers.without_alt(built) == []


def test_mathematics_is_marked_as_such(built):
    assert checkers.raw_mathematics(built) == []


def test_references_resolve(built):
    assert checkers.unresolved(built) == []


def test_ids_are_unique(built):
    ids = [tag["id"] for tag in checkers.read(built).find_all(id=True)]
    assert sorted({name for name in ids if ids.count(name) > 1}) == []


def test_page_has_one_title(built):
    assert len(checkers.read(built).select("article h1")) == 1


def test_every_cell_ran_without_error(site, page_name, chapter):
    """The executed notebook is the one in the cache: what lies in `jupyter_execute` has no outputs after a second build."""
    if "{code-cell}" not in chapter:
        return
    cache = get_cache(build.cache_folder(toc.ROOT))
    runs = [record.pk for record in cache.list_cache_records() if record.uri.endswith(f"/{page_name}.md")]
    notebook = cache.get_cache_bundle(max(runs)).nb
    assert checkers.error_outputs(notebook) == []


def test_no_solution_is_published(site, root):
    marks = [b"# BEGIN SOLUTION", b"# END SOLUTION", b"hidden-test"]
    leaked = [
        path.relative_to(site).as_posix()
        for path in site.rglob("*")
        if path.suffix in (".html", ".js", ".txt", ".md", ".ipynb") and any(mark in path.read_bytes() for mark in marks)
    ]
    assert leaked == []


def test_site_needs_no_other_folder(site):
    assert not [path for path in site.rglob("*") if path.is_symlink()]
    assert (site / "_static" / "mathjax" / "output" / "chtml.js").is_file()
    assert list((site / "_static" / "mathjax").rglob("*.woff"))


# What the syllabus wants tested at least, a claim of the texts each, by the names of the registry.
REQUIRED = """
ae-reconstructs-better smaller-weight-reconstructs-better latent-size-no-effect vae-denoises-better ae-samples-worse
more-epochs-better-samples ae-vae-separable vae-centered score-function-noisier vq-loss-higher reconstruction-order vq-sharper
uniform-codes-garbage prior-does-not-overfit metrics-agree-mildly disentangled-label-efficient ae-plane-off-center
""".split()  # noqa: SIM905


def test_the_claims_page_has_every_claim_with_the_verdict_of_its_record_and_a_link_to_its_cell(site):
    page = site / "book" / "appendix" / "claims.html"
    text = page.read_text(encoding="utf-8")
    details = dict(re.findall(r'<table class="ae-check ae-claim" id="claim-([^"]*)">(.*?)</table>', text, re.S))
    assert set(REQUIRED) <= set(details) == set(claims.names())
    for name, detail in details.items():
        href, anchor = re.search(r'<a href="([^"#]*)#([^"]*)">', detail).groups()
        cell = (page.parent / href).read_text(encoding="utf-8")
        record = re.search(rf'data-finding="([^"]*)" id="{anchor}"', cell)[1]
        finding = json.loads(html.unescape(record))
        assert finding["claim"] == name
        found = claims.judge(name, finding["effects"])
        for line in (
            found.verdict,
            found.claim.statement,
            found.claim.source,
            found.claim.experiment,
            *found.measured(),
        ):
            assert html.escape(line) in detail, line
        assert all(len(values) >= 3 for values in found.effects.values())
