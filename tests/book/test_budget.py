"""No page of the built book costs more than it may; and a page that did would be seen."""

import importlib.util
import json
import subprocess
import sys
import time

import psutil
import pytest
import toc

from teaching import budget

# A child that fills 100 MB and then has a child of its own fill 100 MB more, while the first waits.
FAMILY = """
import subprocess, sys, time
held = bytearray(b"x") * 100_000_000
grandchild = "held = bytearray(b'x') * 100_000_000; print(flush=True); input()"
inner = subprocess.Popen([sys.executable, "-c", grandchild], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
inner.stdout.readline()
print(flush=True)
input()
inner.communicate(b"\\n")
"""


@pytest.fixture(scope="module")
def times():
    """The build's extension that measures the pages, as a module."""
    spec = importlib.util.spec_from_file_location("book_times", toc.ROOT / "book" / "_ext" / "times.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclass looks its module up
    spec.loader.exec_module(module)
    return module


def test_no_page_is_over_its_budget(site):
    assert [cost for cost in budget.costs(toc.ROOT) if cost.exceeds(budget.TOLERANCE)] == []


def test_every_page_fits_into_the_memory_of_a_binder(site):
    found = budget.costs(toc.ROOT)
    assert budget.unmeasured(found) == ""
    assert [(cost.page, cost.memory) for cost in found if cost.is_over_memory] == []


def test_the_book_is_within_its_budget(site):
    assert sum(cost.seconds for cost in budget.costs(toc.ROOT)) <= budget.TOLERANCE * budget.BOOK


@pytest.fixture
def without_cuda(monkeypatch):
    monkeypatch.setattr(budget, "has_cuda", lambda: False)


def write(root, pages):
    (root / "_build").mkdir()
    (root / "_build" / "chapter-times.json").write_text(json.dumps(pages))


def test_a_dear_page_and_a_dear_cell_are_marked(tmp_path):
    pages = {
        "book/long": {"peak_memory_mb": 400, "cells": [{"cell": "a", "seconds": 40.0}] * 4},
        "book/slow": {"peak_memory_mb": 400, "cells": [{"cell": "slow()", "seconds": 61.0}]},
        "book/quick": {"peak_memory_mb": 400, "cells": [{"cell": "b", "seconds": 50.0}] * 2},
        "book/empty": {"peak_memory_mb": 0, "cells": []},
    }
    write(tmp_path, pages)
    found = budget.costs(tmp_path)
    assert [(cost.page, cost.is_over) for cost in found] == [
        ("book/long", True),
        ("book/quick", False),
        ("book/slow", True),
        ("book/empty", False),
    ]
    assert [cost.page for cost in found if cost.exceeds(1.04)] == ["book/long"]
    assert [cost.page for cost in found if cost.exceeds(1.1)] == []
    assert "over: slow()" in budget.table(found)
    assert budget.costs(tmp_path / "nowhere") == []


def test_a_page_with_too_much_memory_is_marked_however_fast_it_is(tmp_path, without_cuda):
    cells = [{"cell": "a", "seconds": 1.0}]
    over = {"peak_memory_mb": budget.MEMORY + 1, "cells": cells}
    within = {"peak_memory_mb": budget.MEMORY, "cells": cells}
    write(tmp_path, {"book/large": over, "book/small": within})
    found = budget.costs(tmp_path)
    assert [cost.page for cost in found if cost.is_over] == ["book/large"]
    assert "1601  over: memory" in budget.table(found) and "1600 MB, a cell" in budget.table(found)


def test_libraries_for_a_gpu_are_not_held_against_a_page(tmp_path, monkeypatch):
    page = {"peak_memory_mb": budget.MEMORY + budget.CUDA, "cells": [{"cell": "a", "seconds": 1.0}]}
    write(tmp_path, {"book/page": page})
    monkeypatch.setattr(budget, "has_cuda", lambda: True)
    assert [cost.memory for cost in budget.costs(tmp_path)] == [budget.MEMORY]
    assert "less the 285 MB" in budget.table(budget.costs(tmp_path))
    monkeypatch.setattr(budget, "has_cuda", lambda: False)
    assert [cost.is_over_memory for cost in budget.costs(tmp_path)] == [True]
    assert "285 MB" not in budget.table(budget.costs(tmp_path))


def test_times_without_memory_are_shown_and_say_how_to_get_it(tmp_path):
    write(tmp_path, {"book/old": {"cells": [{"cell": "a", "seconds": 1.0}]}})
    found = budget.costs(tmp_path)
    assert not found[0].is_over
    assert "The memory of book/old is not known" in budget.unmeasured(found)
    assert budget.unmeasured(found) in budget.table(found)


def test_peak_memory_counts_children_and_their_children(times):
    with times.Meter(fresh=40_000_000, interval=0.02) as peak:
        command = [sys.executable, "-c", FAMILY]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            child.stdout.readline()
            deadline = time.monotonic() + 30  # the watch is a thread, and the machine may be busy
            while peak.memory.together < 200e6 and time.monotonic() < deadline:
                time.sleep(0.02)
            child.communicate(b"\n")
    assert 200e6 < peak.memory.together < 300e6
    # Without workers the child would do the grandchild's work, less what both had to import for it.
    assert 160e6 < peak.memory.alone < peak.memory.together - 35e6


# A child that works for a second of processor time, has a child of its own do the same, and then sleeps.
WORK = """
import subprocess, sys, time
def work():
    while time.process_time() < float(sys.argv[1]): pass
work()
if len(sys.argv) > 2:
    subprocess.run([sys.executable, "-c", sys.argv[2], "1.0"], check=True)
    time.sleep(1)
"""


def test_seconds_are_processor_time_and_workers_count_half(times):
    begin = time.time()
    with times.Meter(fresh=0, interval=0.02) as meter:
        subprocess.run([sys.executable, "-c", WORK, "1.0", WORK], check=True)
    assert meter.seconds(begin, time.time()) == pytest.approx(1.5, abs=0.25)
    assert meter.seconds(begin - 10, begin) == 0


def test_a_fresh_import_of_the_package_is_counted_in_hundreds_of_megabytes(times):
    assert 50e6 < times.fresh_import() < 800e6


@pytest.mark.skipif(not psutil.LINUX, reason="shared pages are told on Linux only")
def test_a_file_that_two_processes_map_counts_once(times, tmp_path):
    path = tmp_path / "shared"
    path.write_bytes(bytes(100_000_000))
    reader = (
        f"import mmap; file = open({str(path)!r}, 'rb'); m = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ); "
        "total = sum(m[i] for i in range(0, len(m), 4096)); print(flush=True); input()"
    )
    command = [sys.executable, "-c", reader]
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with subprocess.Popen(command, **pipes) as one, subprocess.Popen(command, **pipes) as other:
        for process in (one, other):
            process.stdout.readline()
        held = times.held([psutil.Process(one.pid), psutil.Process(other.pid)], set(), 0).together
        for process in (one, other):
            process.communicate(b"\n")
    assert 100e6 < held < 170e6
