"""What a training reads: collapse is judged over all images, and levels take turns however small a batch is."""

from __future__ import annotations

from copy import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from rcdm_core.encoders import Encoder
from rcdm_core.errors import UserError
from rcdm_core.rcdm_training.store import Condition, Store, batches, fill_store
from rcdm_core.representations import refuse_collapse
from rcdm_core.training import join_processes


class Images:
    """So many images of 8 x 8 pixels, of which only some differ."""

    def __init__(self, count: int, different: int) -> None:
        self.count, self.different = count, different

    def __len__(self) -> int:
        return self.count

    def images(self, indices: np.ndarray) -> torch.Tensor:
        seeds = [min(int(index), self.different - 1) for index in indices]
        return torch.stack([torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


def filled(folder: Path, images: Images) -> tuple[Encoder, Store]:
    trunk = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
    encoder = Encoder(
        "tiny", preprocess=nn.Identity(), trunk=trunk, projector=None, dimensions={"backbone": 4}, is_ssl=True
    )
    return encoder, fill_store(folder, encoder, ("backbone",), images, image_size=8, processes=join_processes("cpu"))


@pytest.mark.parametrize("different, collapsed", [(17, False), (1, True)])
def test_collapse_is_judged_over_all_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, different: int, collapsed: bool
) -> None:
    monkeypatch.setattr("rcdm_core.rcdm_training.store.CHUNK", 16)
    encoder, store = filled(tmp_path, Images(18, different))  # the last chunk holds the same image twice
    parts = {"backbone": store.in_parts("backbone")}
    if not collapsed:
        refuse_collapse(encoder, parts)
        return
    with pytest.raises(UserError, match="'tiny' gives 18 images the same representation at level 'backbone'"):
        refuse_collapse(encoder, parts)


@pytest.mark.parametrize("batch_size", [1, 2, 4, 6])
def test_every_level_is_trained_however_small_a_batch_is(tmp_path: Path, batch_size: int) -> None:
    encoder, store = filled(tmp_path, Images(12, 12))
    conditions = [Condition(renamed(encoder, name), "backbone", store) for name in ("first", "second", "third")]
    for shares, wanted in (({}, [4, 4, 4]), ({"second/backbone": 4}, [2, 8, 2])):
        draw = batches(conditions, np.arange(12), batch_size=batch_size, seed=0, device="cpu", shares=shares)
        shown = dict.fromkeys((one.name for one in conditions), 0)
        for step in range(12 // batch_size):
            for name, h in draw(step, slice(0, batch_size))[1]:
                shown[name] += len(h)
        assert list(shown.values()) == wanted


def renamed(encoder: Encoder, name: str) -> Encoder:
    other = copy(encoder)
    other.name = name
    return other
