"""The precision of matrix products follows the hardware unless one is asked for."""

from __future__ import annotations

import pytest
import torch

from rcdm_core.precision import lowered, matrix_precision


@pytest.mark.parametrize("native, expected", [(True, torch.bfloat16), (False, torch.float32)])
def test_bfloat16_only_where_the_processor_multiplies_it(
    native: bool, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    assert matrix_precision("cpu") == expected
    a = torch.randn(4, 4)
    with lowered("cpu"):
        assert (a @ a).dtype == expected


def test_a_precision_that_is_asked_for_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    a = torch.randn(4, 4)
    for native in (True, False):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda native=native: native)
        with lowered("cpu", "bf16"):
            assert (a @ a).dtype == torch.bfloat16
        with lowered(torch.device("cpu"), "no"):
            assert (a @ a).dtype == torch.float32


@pytest.mark.parametrize("native", [True, False])
def test_a_gpu_that_imitates_bfloat16_does_not_multiply_it(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or native)
    assert matrix_precision("cuda") == (torch.bfloat16 if native else torch.float32)
