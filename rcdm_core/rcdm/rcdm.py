"""The representation-conditional diffusion model (Bordes, Balestriero, Vincent 2022): images from representations.

Several may stand in the place of one: each condition is drawn by the one that was trained on it.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from rcdm_core.bounds import LARGEST_SEED, check_whole
from rcdm_core.errors import UserError, unknown_name
from rcdm_core.fingerprint import fingerprint
from rcdm_core.paths import user_path
from rcdm_core.precision import device_of, matrix_precision
from rcdm_core.progress import track
from rcdm_core.rcdm.choices import DEFAULT_SOLVER, DEFAULT_STEPS, DISTILLED_SOLVER

if TYPE_CHECKING:
    from diffusers import DDPMScheduler

    from rcdm_core.rcdm.guidance import Guide
    from rcdm_core.rcdm.heads import Basis
    from rcdm_core.rcdm.network import Denoiser


class RCDM(nn.Module):
    """A trained denoiser that samples images from representations.

    Args:
        denoiser: Trained network.
        schedule: The schedule it was trained on.
        card: How it was trained and what it scores.
        basis: What it is given of images, linearly; None where it was made without.
        trained_images: `rcdm_core.data.imageset.ImageSet.hashes` of the images that it, and what it began with, was
            trained on, ascending, as far as they are known.
    """

    trained_images = np.array([], np.uint64)

    def __init__(
        self,
        denoiser: Denoiser,
        schedule: DDPMScheduler,
        card: Mapping[str, Any] | None = None,
        basis: Basis | None = None,
        trained_images: np.ndarray = trained_images,
    ) -> None:
        super().__init__()
        self.denoiser, self.schedule, self.card, self.basis = denoiser, schedule, dict(card or {}), basis
        self.trained_images = trained_images
        self.eval().requires_grad_(False)

    @property
    def conditions(self) -> dict[str, int]:
        """Dimension of each condition, as ``{"vicreg/backbone": 384}``."""
        return self.denoiser.conditions

    @property
    def cards(self) -> tuple[Mapping[str, Any], ...]:
        """The card of each training that what it draws comes from, those before its own last."""
        return (self.card, *self.card.get("before", ()))

    @property
    def calls(self) -> int | None:
        """Steps of DDIM that it was distilled to, and draws in; None where any solver and number of steps will do."""
        return self.card.get("calls")

    @property
    def image_size(self) -> int:
        """Side of the images in pixels."""
        return self.denoiser.settings.image_size

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the weights, the shape of the network and the schedule."""
        schedule = {key: value for key, value in self.schedule.config.items() if not key.startswith("_")}  # no versions
        about = {"network": self.denoiser.settings.to_dict(), "schedule": schedule}
        return fingerprint(self, json.dumps(about, sort_keys=True))

    @classmethod
    def from_pretrained(cls, name: str | Path | None = None, *, device: str | torch.device = "cpu") -> RCDM:
        """A trained RCDM, frozen.

        Args:
            name: A folder, ``ORG/NAME`` of the Hugging Face hub where there is no such folder, or None for the one that
                ships in the package.
            device: Where to put it.

        Raises:
            UserError: It is not there or cannot be fetched, or a file is missing or damaged.
        """
        from rcdm_core import hub

        on_hub = name is not None and hub.is_name(name) and not Path(name).exists()
        return load_rcdm(f"{hub.PREFIX}{name}" if on_hub else name, device)

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write it into a folder, with a README made from its card; gives the folder.

        Raises:
            UserError: The folder cannot be written.
        """
        return self._save(user_path(folder, "the folder of the RCDM"), str(folder))

    def push_to_hub(self, name: str, *, private: bool = False) -> str:
        """Hand it on to a repository of the Hugging Face hub, with a page made from its card; gives the address.

        Args:
            name: ``ORG/NAME``; made if it is not there.
            private: Whether a new repository is for its owner's eyes alone.

        Raises:
            UserError: There is no network, or the hub refuses.
        """
        from rcdm_core import hub
        from rcdm_core.rcdm.files import FILES, OPTIONAL, README

        with TemporaryDirectory() as folder:
            self._save(Path(folder), name)
            files = [file for file in (*FILES, *OPTIONAL, README) if Path(folder, file).exists()]
            return hub.handed_on(Path(folder), files, name, private=private)

    def _save(self, folder: Path, name: str) -> Path:
        from rcdm_core.rcdm.files import save_rcdm, write_readme

        save_rcdm(self.denoiser, self.schedule, folder, self.card, self.basis, self.trained_images)
        write_readme(folder, name)
        return folder

    def noise(self, count: int, seed: int) -> torch.Tensor:
        """Starting noise ``[count, 3, S, S]``; the first images of a longer draw are those of a shorter one."""
        shape = (count, 3, self.image_size, self.image_size)
        return torch.randn(shape, generator=torch.Generator().manual_seed(seed))

    @torch.no_grad()
    def sample(
        self,
        h: torch.Tensor,
        condition: str,
        *,
        noise: torch.Tensor | None = None,
        step_noise: torch.Tensor | None = None,
        steps: int | None = None,
        solver: str | None = None,
        seed: int = 0,
        batch_size: int = 256,
        dtype: torch.dtype | None = None,
        guide: Guide | None = None,
    ) -> torch.Tensor:
        """One image for each representation, without guidance unless there is a ``guide``.

        Args:
            h: Representations ``[N, D]``; repeat one to sample it several times.
            condition: Encoder and level they come from, a key of `conditions`.
            noise: Starting noise ``[N, 3, S, S]``; by default drawn from ``seed``. Equal noise for two representations
                gives images whose difference comes from the representation.
            step_noise: Noise ``[K, N, 3, S, S]`` that a stochastic solver, the default one too, adds after each of its
                K steps, the first used first; by default drawn from ``seed`` and the starting noise.
            steps: Network evaluations for each image; by default 6, or those that it was distilled to.
            solver: A key of `rcdm_core.rcdm.solvers.SOLVERS`; by default SDE-DPM-Solver++, or DDIM where it was.
            seed: Of the starting noise, and of the noise that a stochastic solver adds.
            batch_size: Images at once.
            dtype: Precision of the network's matrix products, by default that of
                `rcdm_core.precision.matrix_precision`; what the solver computes is float32.
            guide: What samples are steered to make small, as `rcdm_core.rcdm.guidance.distance_to_h`.

        Returns:
            Images ``[N, 3, S, S]`` in [0, 1], on the CPU.

        Raises:
            UserError: Unknown condition or solver, more steps than the schedule has or other ones than it was distilled
                to, noise of another shape, or representations of another dimension.
        """
        from rcdm_core.rcdm.guidance import guided
        from rcdm_core.rcdm.solvers import SOLVERS

        if condition not in self.conditions:
            raise unknown_condition(condition, self.conditions)
        usual = (DEFAULT_SOLVER, DEFAULT_STEPS) if self.calls is None else (DISTILLED_SOLVER, self.calls)
        solver, steps = usual[0] if solver is None else solver, usual[1] if steps is None else steps
        if self.calls is not None and (solver, steps) != usual:
            raise UserError(
                f"{steps} steps of {solver}, of an RCDM that was distilled to {self.calls} of {DISTILLED_SOLVER}",
                "leave out steps and solver",
            )
        if solver not in SOLVERS:
            raise unknown_name("solver", solver, SOLVERS)
        if not h.isfinite().all():
            raise UserError("representations that are NaN or infinite", "draw from finite ones")
        check_whole("seed", seed, 0, LARGEST_SEED)
        most = self.schedule.config["num_train_timesteps"]
        if not 1 <= steps <= most:
            raise UserError(f"{steps} solver steps", f"take at least one, and at most {most}")
        noise = self.noise(len(h), seed) if noise is None else noise
        if noise.shape != (wanted := (len(h), 3, self.image_size, self.image_size)):
            raise UserError(f"noise of shape {list(noise.shape)} for {len(h)} representations", f"give {list(wanted)}")
        if step_noise is not None and step_noise.shape != (steps, *wanted):
            raise UserError(f"step noise of shape {list(step_noise.shape)}", f"give {[steps, *wanted]}")
        device = device_of(self.denoiser)
        dtype = matrix_precision(device) if dtype is None else dtype
        starts, batches = range(0, len(h), batch_size), []
        for i in track(starts, f"sampling from {condition}", len(starts)):
            rows = slice(i, i + batch_size)
            added = _continuation(noise[rows], seed) if step_noise is None else iter(step_noise[:, rows])
            given = h[rows].to(device)
            predict = partial(self._predict, self.denoiser.embed([(condition, given)]), dtype)
            predict = partial(guided, predict, guide, self.schedule, given) if guide is not None else predict
            x = SOLVERS[solver](self.schedule, steps, predict, noise[rows].to(device), added)
            batches.append(((x + 1) / 2).clamp(0, 1).cpu())
        return torch.cat(batches) if batches else torch.zeros(0, 3, self.image_size, self.image_size)

    def _predict(self, embedding: torch.Tensor, dtype: torch.dtype, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        with torch.autocast(x.device.type, dtype, enabled=dtype != torch.float32):
            return self.denoiser(x, t, embedding).float()


class JoinedRCDM(RCDM):
    """RCDMs of one image size, with different conditions.

    Equal noise under two conditions is equal still; but what draws from it are two networks of two trainings.

    Args:
        members: At least one.

    Raises:
        UserError: They draw images of different sizes or in different numbers of steps, or two of them were trained on
            the same condition, or on different weights of one encoder.
    """

    def __init__(self, members: Sequence[RCDM]) -> None:
        sizes = sorted({member.image_size for member in members})
        if len(sizes) > 1:
            raise UserError(
                f"the RCDMs draw images of {' and '.join(map(str, sizes))} pixels, which cannot stand side by side",
                "give RCDMs of one image size",
            )
        if len({member.calls for member in members}) > 1:
            raise UserError(
                "the RCDMs draw in different numbers of steps",
                "give RCDMs that were distilled to one number of steps, or none that was",
            )
        conditions = [condition for member in members for condition in member.conditions]
        if twice := [condition for condition in conditions if conditions.count(condition) > 1]:
            raise UserError(f"two of the RCDMs draw from {twice[0]}", "give one of them")
        first, cards = members[0], [member.card for member in members]
        encoders: dict[str, str] = {}
        for told in cards:
            for name, weights in told.get("encoders", {}).items():
                if encoders.setdefault(name, weights) != weights:
                    raise UserError(
                        f"two of the RCDMs were trained on different weights of {name}",
                        "give RCDMs of the same weights, or one of them at a time",
                    )
        card = {
            "encoders": encoders,
            "members": cards,
            **({} if first.calls is None else {"calls": first.calls}),
        }
        trained = np.unique(np.concatenate([member.trained_images for member in members]))
        super().__init__(first.denoiser, first.schedule, card, trained_images=trained)
        self.members = nn.ModuleList(members)
        self._of_condition = {condition: member for member in members for condition in member.conditions}

    def _save(self, folder: Path, name: str) -> Path:
        raise UserError("several RCDMs that were joined are not one", "hand on each of them: its members")

    @property
    def conditions(self) -> dict[str, int]:
        """Dimension of each condition of all members."""
        return {condition: member.conditions[condition] for condition, member in self._of_condition.items()}

    @property
    def cards(self) -> tuple[Mapping[str, Any], ...]:
        """The cards of all members."""
        return tuple(card for member in dict.fromkeys(self._of_condition.values()) for card in member.cards)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the members' fingerprints."""
        members = dict.fromkeys(self._of_condition.values())
        return hashlib.sha256("".join(member.fingerprint for member in members).encode()).hexdigest()

    def sample(self, h: torch.Tensor, condition: str, **settings: Any) -> torch.Tensor:
        """As `RCDM.sample`, by the member that was trained on the condition."""
        if condition not in self._of_condition:
            raise unknown_condition(condition, self._of_condition)
        return self._of_condition[condition].sample(h, condition, **settings)


def load_rcdm(path: str | Path | None = None, device: str | torch.device = "cpu") -> RCDM:
    """A trained RCDM, frozen.

    Args:
        path: A folder as `save_pretrained` writes it, or ``hf:ORG/NAME`` of the Hugging Face hub; by default the one
            that ships in the package.
        device: Where to put it.

    Raises:
        UserError: A file is missing or damaged; says which. Or it cannot be fetched.
    """
    from rcdm_core.rcdm.files import load_parts

    return RCDM(**load_parts(path)).to(device)


def unknown_condition(condition: str, known: Iterable[str]) -> UserError:
    """The error for an encoder and level that an RCDM was not trained on."""
    return UserError(
        f"this RCDM does not draw from {condition}",
        f"it draws from {', '.join(known)}; `rcdm-probe adapt` puts others on it",
    )


def _continuation(noise: torch.Tensor, seed: int) -> Iterator[torch.Tensor]:
    """What a stochastic solver adds after its starting noise: equal starts go on equally, in any batch."""
    sources = [seed ^ zlib.crc32(row.cpu().contiguous().numpy().tobytes()) for row in noise]
    generators = [torch.Generator().manual_seed(source) for source in sources]
    while True:
        yield torch.stack([torch.randn(noise.shape[1:], generator=g) for g in generators])
