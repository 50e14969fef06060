"""Tables: cells as people read them, LaTeX that compiles whatever a name holds, CSV that loses nothing."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyses.bootstrap import Estimate
from analyses.digits import ERROR_RATE, decisive, p_number
from reports import tables
from reports.tables import Table, cell, interval, latex_escape, number, p_value, to_latex


def test_numbers_read_well() -> None:
    assert number(-0.004) == "0.00"  # no minus before zero
    assert number(-0.126) == "−0.13"
    assert number(np.nan) == number(None) == number(np.inf) == "–"
    assert interval(0.41, 0.38, 0.44) == "0.41 [0.38, 0.44]"
    assert interval(0.41, np.nan, np.nan) == "0.41"
    assert [p_value(p) for p in (1e-9, 0.00123, 0.5, np.nan)] == ["< 0.0001", "0.0012", "0.50", "–"]


@pytest.mark.parametrize(
    "low, high, bounds, digits",
    [
        (-0.06, -0.003, (), 3),
        (0.004, 0.2, (), 3),
        (0.0003, 0.01, (), 4),
        (-0.06, 0.003, (), 2),
        (0.0, 0.2, (), 2),
        (0.1, 0.2, (), 2),
        (0.1035, 0.151, (0.1,), 3),
        (0.0962, 0.151, (0.1,), 2),
        (0.02, 0.09996, (0.1,), 5),
        (np.nan, np.nan, (0.1,), 2),
    ],
)
def test_an_interval_beside_a_bound_shows_on_which_side_it_lies(low, high, bounds, digits) -> None:
    assert decisive(low, high, *bounds) == digits


def test_cells_and_sentences_have_the_same_digits() -> None:
    assert interval(-0.036, -0.061, -0.0031) == "−0.036 [−0.061, −0.003]"
    assert str(Estimate(0.02, 0.003, 0.031, 9)) == "0.020 [0.003, 0.031]"
    assert Estimate(-0.012, -0.031, -0.003, 9).signed() == "-0.012 [-0.031, -0.003]"
    assert Estimate(-0.001, -0.003, 0.02, 9).signed() == "0.00 [0.00, +0.02]"
    assert interval(0.12, 0.1035, 0.15, bound=0.1) == Estimate(0.12, 0.1035, 0.15, 9).told(0.1)
    assert interval(0.3, 0.04, 2, digits=1) == "0.30 [0.04, 2.00]"


@given(st.floats(1e-9, 1, exclude_min=True))
def test_no_p_is_rounded_across_the_error_rate(p: float) -> None:
    told = p_number(p)
    assert told.startswith("<") or np.sign(float(told) - ERROR_RATE) == np.sign(p - ERROR_RATE)


def test_p_values_beside_the_error_rate_have_digits_for_it() -> None:
    assert [p_number(p) for p in (0.04996, 0.0504, 0.05, 0.049)] == ["0.04996", "0.0504", "0.05", "0.049"]


def test_a_cell_folds_its_interval() -> None:
    row = pd.Series({"auc": 0.9, "auc_low": 0.85, "auc_high": 0.93, "effect": 1.0})
    assert cell(row, "auc") == "0.90 [0.85, 0.93]"
    assert cell(row, "effect") == "1.00"


@given(st.text(alphabet=r"#_$%@*&{}\~^<>|ab ", max_size=30))
def test_no_character_of_a_name_is_a_command_of_latex(name: str) -> None:
    escaped = latex_escape(name)
    commands = r"\\(textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar)\{\}|\\[&%$#_{}]"
    rest = re.sub(commands, "", escaped)
    assert not set(rest) & set("\\&%$#_{}~^")


def test_latex_has_the_rules_of_booktabs_and_a_cell_for_each_heading() -> None:
    table = Table("a-b", "What 100% of rows_show.", ("name", "x", "y"), (("a&b", "1", "2"), ("c", "3", "4")))
    text = to_latex(table)
    assert [rule in text for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [True] * 3
    assert r"\begin{tabular}{lcc}" in text
    assert r"\caption{What 100\% of rows\_show.}" in text
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(body) == 3
    assert all(len(re.findall(r"(?<!\\)&", line)) == 2 for line in body)


def test_sentences_in_a_table_are_wrapped() -> None:
    said = "A sentence that would not fit any page if it stood in one line. " * 2
    table = Table("t", "", ("finding", "claim", "word", "rule"), (("1", said, "supported", said), ("2", "", "", "")))
    assert r"\begin{tabular}{lp{0.30\linewidth}cp{0.30\linewidth}}" in to_latex(table)
    assert r"\begin{tabular}{lc}" in to_latex(Table("t", "", ("a", "b"), ()))


def test_a_table_with_a_ragged_row_is_refused() -> None:
    with pytest.raises(ValueError, match="3 headings, but a row of 2"):
        Table("t", "", ("a", "b", "c"), (("1", "2"),))


def test_csv_keeps_every_bit(tmp_path) -> None:
    data = pd.DataFrame({"name": ["a,b", 'c"d', "ünï #_$%@*"], "x": [1 / 3, -1e-300, np.nan], "n": [1, 2, 3]})
    tables.save_csv(tmp_path, "t", data)
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "t.csv", float_precision="round_trip"), data, check_exact=True, check_dtype=False
    )
