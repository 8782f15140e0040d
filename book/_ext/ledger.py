"""The directive `{claims}`: every claim that a page of the book puts to the test, with its verdict, in one table."""

from __future__ import annotations

import html
import json
import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

FINDING = re.compile(r'class="ae-check ae-claim" data-finding="([^"]*)"')


class Ledger(nodes.General, nodes.Element):
    """Where the table goes: it is filled when all pages have been read."""


class Claims(SphinxDirective):
    """`{claims}`: the findings of all pages."""

    def run(self) -> list[nodes.Node]:
        return [Ledger()]


def findings_in(text: str) -> list[dict[str, Any]]:
    """The records that the tables of `autoencoders.claims` carry in a page's HTML."""
    return [json.loads(html.unescape(record)) for record in FINDING.findall(text)]


def collect(app: Sphinx, doctree: nodes.document) -> None:
    """Keep the findings of the page that was read."""
    found = [record for node in doctree.findall(nodes.raw) for record in findings_in(node.astext())]
    _kept(app.env)[app.env.docname] = list({record["claim"]: record for record in found}.values())


def forget(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    _kept(env).pop(docname, None)


def fill(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put the table where the directive stands.

    Raises:
        ValueError: two pages judge one claim, or a page judges a claim that belongs to another.
    """
    from autoencoders import claims

    if app.builder.format != "html":
        return
    kept = _kept(app.env)
    for place in list(doctree.findall(Ledger)):
        records, links = [], {}
        for page, found in kept.items():
            for record in found:
                label = claims.get(record["claim"]).chapter
                if app.env.get_domain("std").labels.get(label, ("",))[0] != page:
                    raise ValueError(f"{page} judges the claim {record['claim']!r}, which belongs to {label}")
                title = html.escape(app.env.titles[page].astext())
                place_in_page = f"{app.builder.get_relative_uri(docname, page)}#claim-{record['claim']}"
                links[record["claim"]] = f'<a href="{place_in_page}">{title}</a>'
            records += found
        place.replace_self(nodes.raw("", claims.table(records, links), format="html"))


def _kept(env: BuildEnvironment) -> dict[str, list[dict[str, Any]]]:
    if not hasattr(env, "ae_findings"):
        env.ae_findings = {}  # type: ignore[attr-defined]
    return env.ae_findings  # type: ignore[attr-defined]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_node(Ledger)
    app.add_directive("claims", Claims)
    app.connect("doctree-read", collect)
    app.connect("env-purge-doc", forget)
    app.connect("doctree-resolved", fill)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
