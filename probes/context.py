"""What is open while a probe runs, and what everybody needs of it.

A probe asks the context for images, representations and samples; where they are kept, on which device they are made and
who is told how far they are is not its business. It holds resources, never results.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from analyses.records import components, join, records
from probes.rendering import check_match, drawable, starting_noise
from probes.stages import Stages
from probes.untrained import is_untrained
from rcdm_core.encoders import UNTRAINED, load_encoder
from rcdm_core.precision import device_of
from rcdm_core.progress import showing, silent, track
from rcdm_core.representations import encode, encode_with_grid, represent
from rcdm_core.sharing import completed, shared_out, unless_busy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from numpy.typing import ArrayLike

    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders.encoder import Encoder
    from rcdm_core.features import FeatureSpace, Look
    from rcdm_core.rcdm import RCDM
    from rcdm_core.zoo.judge import Judge

T = TypeVar("T")
R = TypeVar("R")

_AT_ONCE = 512  # images that are read to be looked at


@dataclass(frozen=True, eq=False, kw_only=True)
class Context:
    """Encoders, decoders and images, open; and how work on them is done and kept.

    Attributes:
        encoders: Under study, on their device.
        levels: Levels that are asked for.
        images: What they are measured on.
        decoders: What draws from the representations of an encoder, by its name.
        judge: Reads the factors of a scene off a picture; None where images have none, or none is needed.
        space: Where sets of pictures are compared; None where the probe compares none.
        settings: What the probe was told.
        own: What the probe has opened itself (`probes.probe.Ready`).
        cache: Folder of representations kept between runs; None keeps none.
        stages: Keeps finished parts of this run.
    """

    encoders: Sequence[Encoder]
    levels: tuple[str, ...]
    images: ImageSet
    settings: Any
    decoders: Mapping[str, RCDM]
    judge: Judge | None = None
    space: FeatureSpace | None = None
    own: Any = None
    cache: Path | None = None
    stages: Stages = field(default_factory=lambda: Stages(None))

    @property
    def encoder(self) -> Encoder:
        """The encoder, of a context of one."""
        (encoder,) = self.encoders
        return encoder

    @property
    def decoder(self) -> RCDM | None:
        """What draws from the encoder's representations; None where there is nothing."""
        return self.decoders.get(self.encoder.name)

    @property
    def drawn_levels(self) -> tuple[str, ...]:
        """Those of the levels that the decoder draws from."""
        return drawable(self.encoder, self.levels, self.decoder) if self.decoder is not None else ()

    def each_encoder(self) -> Iterator[Context]:
        """A context of one for each encoder, with those of the levels that it has."""
        for encoder in self.encoders:
            levels = tuple(level for level in self.levels if level in encoder.levels)
            yield replace(self, encoders=(encoder,), levels=levels)

    def each(self, items: Sequence[T], doing: str) -> Iterator[T]:
        """The items one after the other, and a bar that tells how far it is."""
        return iter(track(items, doing, len(items)))

    def shared(self, work: Callable[[T], R], items: Sequence[T], doing: str, holds: int = 0) -> Iterator[R]:
        """What ``work`` gives for each item, in order, and a bar; several are worked on at once where that is faster.

        That is on a processor, with encoders that may be asked by several threads. ``work`` draws nothing at random but
        from seeds of its own, and shows no loop. ``holds``: how many bytes of memory an item takes, where it is much.
        """
        if any(device_of(one).type != "cpu" or not one.is_reentrant for one in self.encoders):
            return self.spread(work, items, doing)
        tried = shared_out(partial(unless_busy, work), items, holds)
        return completed(track(tried, doing, len(items)), work, items)

    def spread(self, work: Callable[[T], R], items: Sequence[T], doing: str) -> Iterator[R]:
        """As `shared`, of work that has all threads: over several processes, where there are any."""
        return completed(track(map(partial(unless_busy, work), items), doing, len(items)), work, items)

    def untrained(self) -> Context | None:
        """A context of the untrained encoder, where the decoder draws from one: what its ``h`` give too is a floor.

        None where the decoder was trained for none, or an untrained encoder is under study itself.
        """
        decoder = next((one for one in self.decoders.values() if f"{UNTRAINED}/backbone" in one.conditions), None)
        if decoder is None or any(map(is_untrained, self.encoders)):
            return None
        encoder = load_encoder(UNTRAINED, device=device_of(self.encoders[0]))
        check_match(encoder, encoder.levels, decoder)
        return replace(self, encoders=(encoder,), levels=encoder.levels, decoders={UNTRAINED: decoder})

    def draw(self, count: int) -> np.ndarray:
        """Positions of images drawn by the seed, without repetition: the first of a draw are those of a smaller one."""
        return np.random.default_rng(self.settings.seed).permutation(len(self.images))[:count]

    def represent(self, positions: np.ndarray) -> dict[str, torch.Tensor]:
        """Representations of images at every level, ``[N, D]`` each, kept in the cache."""
        return represent(
            self.encoder, self.images, positions,
            batch_size=self.settings.batch_size, cache=self.cache, asked=self.levels,
        )  # fmt: skip

    def encode(self, pictures: torch.Tensor) -> dict[str, torch.Tensor]:
        """Representations of pictures ``[N, 3, H, W]`` at every level, ``[N, D]`` each."""
        return encode(self.encoder, pictures, batch_size=self.settings.batch_size)

    def encode_with_grid(self, pictures: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """The same, and the grid behind the level ``patches``, ``[N, D, rows, columns]``; of no places without it."""
        return encode_with_grid(self.encoder, pictures, batch_size=self.settings.batch_size)

    def render(
        self,
        name: str,
        level: str,
        h: torch.Tensor,
        images: Sequence[int],
        samples: Sequence[int] = (0,),
        *,
        guided: bool = False,
    ) -> torch.Tensor:
        """Samples of representations ``[N, D]``, each from the noises of its image: ``[N, K, 3, S, S]`` in [0, 1].

        Args:
            name: Tells samples of one purpose from those of another, in the parts that are kept: every finished batch.
            level: Level of the representations.
            h: The representations.
            images: Position of the image that each belongs to, ``[N]``.
            samples: Numbers of the K samples that each is given.
            guided: Whether samples are steered towards their representation.
        """
        from rcdm_core.rcdm.guidance import distance_to_h  # with the solvers, which take seconds to import

        told, decoder, condition = self.settings, self.decoder, f"{self.encoder.name}/{level}"
        assert decoder is not None
        rows = [(row, image, sample) for row, image in enumerate(images) for sample in samples]
        batches = [rows[i : i + told.batch_size] for i in range(0, len(rows), told.batch_size)]

        def draw(batch: list[tuple[int, int, int]]) -> torch.Tensor:
            with showing(silent):  # the loop over batches is shown
                return decoder.sample(
                    h[[row for row, _, _ in batch]],
                    condition,
                    noise=starting_noise(decoder.image_size, [key for _, *key in batch], seed=told.seed),
                    steps=told.steps,
                    solver=told.solver,
                    seed=told.seed,
                    batch_size=told.batch_size,
                    guide=distance_to_h(self.encoder, level) if guided else None,
                )

        source = hashlib.sha256(h.numpy().tobytes()).hexdigest()
        how = (told.steps, told.solver, told.seed, told.batch_size)
        kept = self._stages(decoder.fingerprint, condition, how, source)
        drawn = self.spread(
            lambda batch: kept.under(batch).tensor(f"samples-{name}-{level.replace('/', '-')}", partial(draw, batch)),
            batches,
            f"sampling from {condition}",
        )
        return torch.cat(list(drawn)).unflatten(0, (len(images), len(samples)))

    def features(self, pictures: torch.Tensor) -> torch.Tensor:
        """Pictures ``[N, 3, H, W]`` as features ``[N, F]``."""
        return self.look(pictures)[0]

    def look(self, pictures: torch.Tensor) -> Look:
        """What the feature space sees in pictures: features, and class probabilities where it has classes."""
        assert self.space is not None
        return self.space.of(pictures, batch_size=self.settings.batch_size)

    def features_of(self, positions: np.ndarray) -> torch.Tensor:
        """Images of the set as features ``[N, F]``, read part by part and kept."""
        assert self.space is not None
        look = partial(in_parts, self.images, positions, self.features)
        return self.kept("features", look, self.space.fingerprint, positions.tolist())

    def kept(self, name: str, compute: Callable[[], torch.Tensor], *key: Any) -> torch.Tensor:
        """What ``compute`` gives, kept until the run is finished; ``key``: all that it depends on besides."""
        return self._stages(*key).tensor(name, compute)

    def kept_records(self, name: str, compute: Callable[[], Iterable[pd.DataFrame]], *key: Any) -> pd.DataFrame:
        """Tables of records, joined, kept as `kept` keeps a tensor."""
        return self._stages(*key).table(name, lambda: join(list(compute())))

    def _stages(self, *key: Any) -> Stages:
        encoders = ((encoder.name, encoder.fingerprint) for encoder in self.encoders)  # records tell the name
        known = (*encoders, self.images.fingerprint)
        return self.stages.under(*known, *key)

    def read(self, samples: torch.Tensor) -> dict[str, np.ndarray]:
        """The factors that the judge reads off samples ``[N, K, 3, S, S]``, as numbers ``[N, K]`` each."""
        assert self.judge is not None
        read = components(self.judge.read(samples.flatten(0, 1)))
        return {name: values.reshape(samples.shape[:2]) for name, values in read.items()}

    def records(
        self, measure: str, values: ArrayLike, images: ArrayLike, level: str = "", condition: str = "", **about: Any
    ) -> pd.DataFrame:
        """Records of one measure on the encoder; see `analyses.records.records`.

        Of images that have several samples, values are ``[N, K]``: the first samples of all images come first.
        """
        rows: np.ndarray = np.asarray(values)
        if rows.ndim == 2:
            count, samples = rows.shape
            about["sample"] = np.repeat(np.arange(samples), count)
            rows, images = rows.T.ravel(), np.tile(images, samples)
        return records(measure, rows, images, level, condition, encoder=self.encoder.name, **about)


def in_parts(images: ImageSet, positions: np.ndarray, look: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """What ``look`` makes of images, ``[N, ...]``: read part by part, for they need not fit into memory."""
    parts = [positions[i : i + _AT_ONCE] for i in range(0, len(positions), _AT_ONCE)]
    return torch.cat([look(images.images(part)) for part in parts])
