"""The small tables: what they show, and what they refuse."""

import pytest
import torch

from autoencoders import checks


def test_a_table_shows_the_largest_difference_and_hides_what_is_below_its_digits():
    shown = checks.table({"far": (torch.tensor([1.0, 2.5]), torch.tensor([1.0, 2.0])), "near": (1.0, 1.0 + 1e-9)})
    assert shown.rows[0][3] == "5.0e-01"
    assert shown.rows[1][3].startswith("<")


def test_a_table_refuses_to_compare_different_shapes():
    with pytest.raises(ValueError, match="like with like"):
        checks.table({"x": (torch.zeros(2), torch.zeros(3))})


def test_over_seeds_shows_median_and_range_and_one_number_where_all_agree():
    shown = checks.over_seeds({"a": {"error": [3.0, 1.0, 2.0], "share": [0.5, 0.5, 0.5]}})
    assert shown.header == ("", "error", "share")
    assert shown.rows == (("a", "2 (1 to 3)", "0.5"),)
    assert "2 (1 to 3)" in shown._repr_html_() and "2 (1 to 3)" in repr(shown)


def test_over_seeds_refuses_lines_with_other_quantities():
    with pytest.raises(ValueError, match="quantities of the first: error"):
        checks.over_seeds({"a": {"error": [1.0]}, "b": {"share": [1.0]}})
