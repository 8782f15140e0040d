"""No page of the built book costs more than it may; and a page that did would be seen."""

import json

import toc

from teaching import budget


def test_no_page_is_over_its_budget(site):
    assert [cost for cost in budget.costs(toc.ROOT) if cost.exceeds(budget.TOLERANCE)] == []


def test_the_book_is_within_its_budget(site):
    assert sum(cost.seconds for cost in budget.costs(toc.ROOT)) <= budget.TOLERANCE * budget.BOOK


def test_a_dear_page_and_a_dear_cell_are_marked_and_a_busy_machine_is_not_their_fault(tmp_path):
    (tmp_path / "_build").mkdir()
    pages = {
        "book/long": {"slowdown": 1.0, "cells": [{"cell": "a", "seconds": 40.0}] * 4},
        "book/slow": {"slowdown": 1.0, "cells": [{"cell": "slow()", "seconds": 61.0}]},
        "book/busy": {"slowdown": 2.0, "cells": [{"cell": "b", "seconds": 100.0}] * 2},
        "book/empty": {"slowdown": 1.0, "cells": []},
    }
    (tmp_path / "_build" / "chapter-times.json").write_text(json.dumps(pages))
    found = budget.costs(tmp_path)
    assert [(cost.page, cost.is_over) for cost in found] == [
        ("book/long", True),
        ("book/busy", False),
        ("book/slow", True),
        ("book/empty", False),
    ]
    assert [cost.page for cost in found if cost.exceeds(1.04)] == ["book/long"]
    assert [cost.page for cost in found if cost.exceeds(1.1)] == []
    assert "over: slow()" in budget.table(found) and "2.0 times slower" in budget.table(found)
    assert budget.costs(tmp_path / "nowhere") == []
