"""What a probe is: one question put to an encoder, with all that belongs to it in one place.

A probe holds its settings, what it measures, its tables, its rule and verdicts, its page and its words. Everything else
follows from that: the command with its options, the function in Python, the run folder and its resumption, the
provenance, PDF, HTML, CSV and LaTeX, and its place in `rcdm-probe reproduce`. ``PROBE`` in a module of this package, or
of any package that announces it under the entry point group ``rcdm_probe.probes``, is a command like the others.
"""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from functools import cached_property, partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

import numpy as np

from analyses.bootstrap import LEVEL, Estimate, interval
from analyses.digits import ERROR_RATE, p_text
from analyses.findings import LEAST, Verdict, Word, aside
from analyses.statistics import Statistic, mean
from rcdm_core.bounds import LARGEST_SEED, check_numbers
from rcdm_core.encoders import UNTRAINED
from rcdm_core.errors import UserError, unknown_name
from rcdm_core.rcdm.choices import DEFAULT_SOLVER, DEFAULT_STEPS, SOLVERS
from reports import phrases
from reports.names import data_name, is_of, listed
from reports.tables import Table, as_read
from reports.words import Words, read_words

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from probes.context import Context
    from rcdm_core.data.registry import GivenImages
    from reports.blocks import Block
    from reports.finished import FinishedRun
    from reports.panels import Map, Panel

T = TypeVar("T")


@dataclass(frozen=True)
class Option:
    """What is known of a setting beside its default.

    Attributes:
        help: What it means, for ``--help`` and for whoever calls from Python.
        short: One letter for the command line, or none.
        least: The smallest value that makes sense; None for any.
        most: The largest.
        metavar: What stands for the value in the help.
        flag: What the command calls it, where that is not its name: ``path``, repeated, gives ``paths``.
        shown: Whether it is an option of the command; else it is set from Python only.
        argument: Whether it stands on the command line without a name: images, given one by one.
        unless: A setting that, where it is given, leaves this one nothing to change: it is refused beside it.
        draws: Whether it says how or how much is drawn, and so nothing where nothing is.
    """

    help: str
    short: str = ""
    least: float | None = None
    most: float | None = None
    metavar: str = ""
    flag: str = ""
    shown: bool = True
    argument: bool = False
    unless: str = ""
    draws: bool = False


def option(default: Any, help: str, **about: Any) -> Any:
    """A field of settings: default, words and bounds stand once; see `Option`."""
    return field(default=default, metadata={"option": Option(help, **about)})


def check_names(what: str, kind: str, names: Sequence[str], known: Collection[str]) -> None:
    """Raise a `UserError` unless names, ``what`` together and each a ``kind``, are known, some, and each once."""
    for name in names:
        if name not in known:
            raise unknown_name(kind, name, known)
    if not names or len(set(names)) < len(names):
        raise UserError(f"{what}: {', '.join(names) or 'none'}", "name at least one, and each once")


def options(settings: type[Settings]) -> dict[str, Option]:
    """What is known of each setting, in the order in which they are declared."""
    return {entry.name: entry.metadata["option"] for entry in fields(settings) if "option" in entry.metadata}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every probe can be told.

    Attributes:
        levels: Levels of the encoder; None for all that it has of itself. Filled in when the encoder is there.
    """

    levels: tuple[str, ...] | None = None
    seed: int = option(0, "Seed of every random draw.", least=0, most=LARGEST_SEED, metavar="S")
    batch_size: int = option(128, "Images that go through a network at once.", least=1)

    def __post_init__(self) -> None:
        check_numbers(self)
        for name, about in options(type(self)).items():
            value = getattr(self, name)
            for one in value if isinstance(value, tuple) else () if value is None else (value,):
                if about.least is not None and one < about.least:
                    raise UserError(f"{name.replace('_', ' ')}: {one}", f"take at least {about.least:g}")
                if about.most is not None and one > about.most:
                    raise UserError(f"{name.replace('_', ' ')}: {one}", f"take at most {about.most:g}")


@dataclass(frozen=True, kw_only=True)
class Sampling(Settings):
    """What a probe that draws can be told besides."""

    steps: int = option(DEFAULT_STEPS, "Solver steps for each picture.", least=1, most=1000, metavar="K", draws=True)
    solver: str = option(
        DEFAULT_SOLVER, f"How the diffusion is solved: {', '.join(SOLVERS)}.", metavar="NAME", draws=True
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.solver not in SOLVERS:
            raise unknown_name("solver", self.solver, SOLVERS)


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What has to be open while a probe runs.

    Attributes:
        encoders: One, or several that are compared.
        reference: Whether one of several is what the others are compared with; it is a setting of that name.
        level: The one level that is looked at unless another is named; empty where several may be, by default all.
        decoder: Whether an RCDM is used: never, where there is one, or always.
        judge: Whether a judge reads the factors of samples, where images have any.
        features: Whether sets of pictures are compared, in a space that the user may name.
        whole: Whether images are wanted that a decoder was trained on, too: all there are, where it was on some.
        images: How many images at least.
    """

    encoders: Literal["one", "several"] = "one"
    reference: bool = False
    level: str = ""
    decoder: Literal["no", "may", "must"] = "may"
    judge: bool = False
    features: bool = False
    whole: bool = False
    images: int = 20


@dataclass(frozen=True, kw_only=True)
class Ready:
    """What a probe adds when everything it needs is open, before anything is computed.

    Attributes:
        settings: The settings, those filled in that depend on what is open; None leaves them.
        own: What it has opened itself, for its eyes alone: `Context.own`.
        given: Images that were given one by one.
        arguments: What ``run.json`` says besides of how it was asked.
        hashes: Fingerprints of what it has opened.
        cards: Further entries of ``run.json``; one of the name of a card that is there goes into it.
    """

    settings: Any = None
    own: Any = None
    given: GivenImages | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)
    cards: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Judgement:
    """A claim tested: which one, on what number, with which outcome. Its sentences are in the probe's words.

    What claims have in common is the section ``verdict``; parts of ``verdict <aspect>`` take the place of its parts.
    Parts can be named in one another.

    Attributes:
        aspect: What it is told by: the section ``verdict <aspect>`` of the words.
        estimate: The statistic on the images at hand, with its interval.
        word: How the claim fared.
        level: Level of the representation, where the claim is tested at each.
        encoder: Name of the encoder; empty for the only one.
        p_value: Two-sided; NaN where the interval alone decides.
        names: What else the sentences tell.
        told: How it is told where not as usual: parts of the section ``verdict <told>`` take the place of those of the
            aspect's.
        whole: Whether the claim is all that its finding says, so that the verdict has no aspect.
        seen: What the numbers alone say, where the word is more careful: ``{outcome}`` tells it.
        bound: What the estimate is held against.
    """

    aspect: str
    estimate: Estimate
    word: Word
    level: str = ""
    encoder: str = ""
    p_value: float = math.nan
    names: Mapping[str, Any] = field(default_factory=dict)
    told: str = ""
    whole: bool = False
    seen: Word | None = None
    bound: float = 0.0


@dataclass(frozen=True)
class Show:
    """One thing on the page: a figure, a table, or every panel or map of a name; a paragraph, or a note of a lack.

    Its caption is the section ``figure <name>``, ``table <name>``, ``panel <name>`` or ``map <name>`` of the words; a
    paragraph is the section ``text <name>``, and a note ``missing <name>``: what is missing, and behind the first full
    stop how to get it.

    Attributes:
        kind: What it is.
        name: Its name.
        draw: Draws a figure of what was found.
        when: Whether there is anything to show; tables without rows, and panels that are not there, are left out
            anyway.
        alone: Whether only the picture of just this name is meant, and none with a level or a number behind it.
        across: Draws one figure of what runs on several encoders found, for `reproduce`; its caption is the section
            ``across <name>``. Without it their pictures stand side by side.
        of: Table that it stands by: there is nothing to show where that has no rows, and nothing missing where it has.
    """

    kind: Literal["figure", "table", "panel", "map", "text", "missing"]
    name: str
    draw: Callable[[Found], Figure] | None = None
    when: Callable[[Found], bool] = lambda found: True
    alone: bool = False
    across: Callable[[Sequence[FinishedRun]], Figure] | None = None
    of: str = ""

    def is_due(self, found: Found) -> bool:
        """Whether there is anything to show."""
        stands = not self.of or found.tables[self.of].empty == (self.kind == "missing")
        return self.when(found) and stands


@dataclass(frozen=True)
class Compared:
    """How finished runs are compared by a measure, image by image (``rcdm-probe compare``).

    Attributes:
        statistic: What stands for all images; of a median the difference is that of the paired differences, else a
            mean.
        rests_on: Settings without which its values mean something else: not compared where runs differ in one.
        shares: Whether a value is what an image adds to one number of all images, which is the mean of them: Student's
            t tests their differences, as one of them says nothing by itself.
        whole: Whether a value is recorded of its image among all of a run: not compared where runs are on other sets.
        called: What it is, where the name of the measure does not say it.
    """

    statistic: Statistic = mean
    rests_on: tuple[str, ...] = ()
    shares: bool = False
    whole: bool = False
    called: str = ""


def named(*tables: Callable[[Found], pd.DataFrame]) -> dict[str, Callable[[Found], pd.DataFrame]]:
    """Tables by the names of the functions that make them."""
    return {table.__name__: table for table in tables}


Page: TypeAlias = "Mapping[str, Sequence[Show | Callable[[Found], Iterable[Block]]]]"


@dataclass(frozen=True)
class Probe:
    """A question put to an encoder.

    Attributes:
        name: Of the command, the function, the module, the run folder and the documentation: one name.
        settings: What it can be told: a dataclass of `option` fields.
        measure: Gives records, panels and maps, one after the other.
        ready: Refuses at once what would fail later, and opens what only this probe needs; None where that is nothing.
        names: What the words tell besides settings and arguments.
        verdicts: Claims tested, each by a rule that its words state.
        needs: What has to be open.
        tables: Summaries by name, each a function of what was found.
        gist: A paragraph for the first page and the terminal, of a probe that tests no claim.
        printed: Tables as they are read, by name, where that is not a row for a row of numbers: cells may be text.
        page: What is shown, by the title of its section. Of what has no title, the first that is there stands on the
            first page.
        words: Markdown, as `reports.words` reads it; without it, the file ``.md`` beside the module is read.
        images: How many images the settings ask for at most; None takes all.
        finding: Number of the paper's finding that a verdict is on, by its aspect; an aspect that is not there is the
            paper's nowhere.
        counted: What the verdicts rest on: images, or pairs or pictures.
        rests_on: Setting that says how many of these the verdict on an aspect rests on at most; ``images`` of an aspect
            that is not there.
        rows_in: Table, or family of one a level, that the number of a verdict stands in or is made of, by its aspect
            (empty for none): on the page, the number leads there. ``a or b``: the first that there is.
        compared: Measures of which a value says something of its image by itself, by which finished runs are compared;
            None for all, by their means; empty where there are none.
        comparable: Records by which finished runs are compared, made of those of one encoder on the images that are in
            every run.
        quick: Settings of ``reproduce --quick``.
        unlabelled: Settings of `reproduce` where images have no classes.
        shown_in: Finding of the paper -> names of figures and tables that its section of `reproduce` shows, as their
            files are called (``table x`` where there is a figure x, too); 0 for what is beyond the paper: everything,
            unless said, of a probe that belongs to no finding. ``sentences`` stands for those of the verdicts.
    """

    name: str
    settings: type[Any]
    measure: Callable[[Context, Any], Iterator[pd.DataFrame | Panel | Map]]
    ready: Callable[[Context, Any], Ready | None] = lambda run, settings: None
    names: Callable[[Found], Mapping[str, Any]] = lambda found: {}
    verdicts: Callable[[Found], Iterator[Judgement]] = lambda found: iter(())
    _: KW_ONLY
    needs: Needs = field(default_factory=Needs)
    tables: Mapping[str, Callable[[Found], pd.DataFrame]]
    page: Page
    words: str = ""
    images: Callable[[Any], int | None] = lambda settings: settings.images
    finding: Mapping[str, int] = field(default_factory=dict)
    counted: str = "images"
    rests_on: Mapping[str, str] = field(default_factory=dict)
    rows_in: Mapping[str, str] = field(default_factory=dict)
    gist: Callable[[Found], str] = lambda found: ""
    printed: Mapping[str, Callable[[Found], pd.DataFrame]] = field(default_factory=dict)
    compared: Mapping[str, Compared] | None = None
    comparable: Callable[[pd.DataFrame], pd.DataFrame] = lambda records: records
    quick: Mapping[str, Any] = field(default_factory=dict)
    unlabelled: Mapping[str, Any] = field(default_factory=dict)
    shown_in: Mapping[int, Sequence[str]] = field(default_factory=dict)

    @cached_property
    def wording(self) -> Words:
        """Its words, read."""
        return read_words(self.words or Path(inspect.getfile(self.measure)).with_suffix(".md").read_text("utf-8"))

    def compared_by(self, measure: str) -> Compared:
        """How finished runs are compared by a measure."""
        return (self.compared or {}).get(measure, Compared())

    @property
    def about(self) -> str:
        """What it says of itself: the docstring of the module that assigns it, or of the package that this is in."""
        module = sys.modules[self.measure.__module__]
        return inspect.getdoc(module if hasattr(module, "PROBE") else sys.modules[module.__package__ or ""]) or ""


def once(function: Callable[..., T]) -> Callable[..., T]:
    """A function of what a probe found and of plain values, that is computed once: nobody changes what it gives."""

    @wraps(function)
    def made(found: Found, *about: Any) -> T:
        if (function, about) not in found.made:
            found.made[function, about] = function(found, *about)
        return found.made[function, about]

    return made


class Tables(Mapping[str, "pd.DataFrame"]):
    """The tables of a probe, each made when it is first asked for: one may so be made of another."""

    def __init__(self, found: Found) -> None:
        self._found, self._made = found, dict[str, "pd.DataFrame"]()

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self._made:
            from reports.notebook import captioned

            if name not in self._found.probe.tables:
                raise KeyError(str(unknown_name("table", name, self._found.probe.tables)))

            self._made[name] = captioned(self._found.probe.tables[name](self._found), partial(self._caption, name))
        return self._made[name]

    def _caption(self, name: str) -> str:
        """What a report says above a table."""
        return next((one.caption for of, one in self._found.printed.items() if is_of(of, name)), "")

    def __iter__(self) -> Iterator[str]:
        return iter(self._found.probe.tables)

    def __len__(self) -> int:
        return len(self._found.probe.tables)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a probe found.

    Attributes:
        probe: Which one.
        settings: What it was told.
        records: Every measurement, one a row; ``image`` is the index of the image in its data set.
        images: Which image each number of the records is: its ``file`` below a folder, or its index, and its ``class``.
        panels: Labelled grids of pictures.
        maps: Labelled rows of pixel maps.
        run: Where the numbers come from: the content of ``run.json``.
    """

    probe: Probe
    settings: Any
    records: pd.DataFrame
    images: pd.DataFrame
    panels: tuple[Panel, ...]
    maps: tuple[Map, ...]
    run: dict[str, Any]

    def interval(self, values: ArrayLike, statistic: Statistic, level: float = LEVEL) -> Estimate:
        """A statistic of values ``[N, ...]``, one row an image, with its bootstrap interval, of 95% by default."""
        return interval(np.asarray(values), statistic, level, seed=self.settings.seed)

    def intervals(
        self, values: Mapping[str, ArrayLike], statistics: Statistic | Mapping[str, Statistic]
    ) -> dict[str, Estimate]:
        """`interval` of values by name, each of the statistic of its name, where they are not all of one."""
        return {
            name: self.interval(of, statistics if callable(statistics) else statistics[name])
            for name, of in values.items()
        }

    @cached_property
    def made(self) -> dict[Any, Any]:
        """What functions of this have made, `once`."""
        return {}

    @cached_property
    def _places(self) -> dict[str, np.ndarray]:
        return self.records.groupby("measure").indices

    def measured(self, *measures: str) -> pd.DataFrame:
        """The records of these measures, as `analyses.tables.measured` finds them, without looking at every row."""
        places = [self._places[measure] for measure in set(measures) & set(self._places)]
        return self.records.iloc[np.sort(np.concatenate([np.empty(0, int), *places]))]

    @cached_property
    def has_floor(self) -> bool:
        """Whether the same was drawn from an untrained encoder."""
        of_floor = UNTRAINED not in self.encoders and (self.records[["encoder", "level"]] == UNTRAINED).any(axis=None)
        return bool(of_floor) or any("untrained_h" in measure for measure in self._places)

    def at_hand(self, asked: int, besides: int = 0) -> int:
        """How many images there were of those that were asked for, ``besides`` others: a set may hold fewer."""
        return min(asked, self.run.get("data_card", {}).get("images", asked + besides) - besides)

    def that_drew(self, kind: str) -> dict[str, Any]:
        """What is known of the heads that drew, by condition.

        How faithful they were, of those trained with their denoiser (``scores``), or put on one without (``adapted``).
        """
        shown = (*self.encoders, *([UNTRAINED] if self.has_floor else ()))
        return {name: told for name, told in self.run.get(kind, {}).items() if name.rpartition("/")[0] in shown}

    @cached_property
    def tables(self) -> Tables:
        """Summaries with 95% intervals, by name."""
        return Tables(self)

    @cached_property
    def names(self) -> dict[str, Any]:
        """What names in the words are filled in with: arguments, what several reports say, the probe's own."""
        return {
            "paper": phrases.PAPER,
            "uncertainty": phrases.uncertainty(self.probe.counted),
            "scenes": phrases.of_scenes(self.run),
            "memory": [*phrases.of_memory(self.run), *phrases.of_images(self.run)],
            "samples_limit": phrases.OF_SAMPLES,
            "intervals_limit": phrases.OF_INTERVALS,
            "no_factors": phrases.NO_FACTORS,
            "error_rate": ERROR_RATE,
            "untrained_h": "untrained h" if self.has_floor else "",
            **self.run["arguments"],
            "data": data_name(self.run),
            "encoder": listed(self.encoders),
            **self.probe.names(self),
        }

    @cached_property
    def printed(self) -> dict[str, Table]:
        """The tables as a reader sees them, by name: those with columns in the words, and with rows."""
        return {table.name: table for table in self._as_read("table")}

    @property
    def summaries(self) -> list[Table]:
        """What a terminal shows of the tables, numbers without their intervals."""
        return list(self._as_read("summary"))

    def _as_read(self, kind: str) -> Iterator[Table]:
        made = self.probe.printed
        return as_read(
            self.probe.wording, kind, self.names, lambda name: made[name](self) if name in made else self.tables[name]
        )

    @cached_property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The claims tested, in the probe's words."""
        return tuple(map(self._told, self.probe.verdicts(self)))

    def _told(self, judgement: Judgement) -> Verdict:
        encoder = judgement.encoder or str(self.run["arguments"]["encoder"])
        parts = self.probe.wording.parts("verdict", f"verdict {judgement.aspect}", f"verdict {judgement.told}")
        names = {
            **parts,
            **self.names,
            "encoder": encoder,
            "level": judgement.level,
            "n": judgement.estimate.n,
            "value": judgement.estimate.told(judgement.bound),
            "gain": judgement.estimate.signed(),
            "p": p_text(judgement.p_value),
            "aside": aside(self.is_ssl(judgement.encoder)),
            **judgement.names,
        }
        names["outcome"] = parts.get(judgement.seen or judgement.word, "").format_map(names)
        told = {part: parts[part].format_map(names) for part in ("claim", "statistic", "rule", "sentence")}
        word, n = judgement.word, judgement.estimate.n
        if n < LEAST:
            word = "too few"
            setting = self.probe.rests_on.get(judgement.aspect, "images")
            told["sentence"] = (
                f"{n} {self.probe.counted} are too few to tell; it takes at least {LEAST} (ask for more: --{setting})."
            )
        return Verdict.of(
            judgement.estimate,
            finding=self.probe.finding.get(judgement.aspect, 0),
            encoder=encoder,
            word=word,
            p_value=judgement.p_value,
            aspect="" if judgement.whole else judgement.aspect,
            level=judgement.level,
            bound=judgement.bound,
            **told,
        )

    @property
    def encoders(self) -> tuple[str, ...]:
        """Names of the encoders that were measured."""
        return tuple(self.run["encoder_cards"]) if "encoder_cards" in self.run else (self.run["arguments"]["encoder"],)

    def is_ssl(self, encoder: str = "") -> bool | None:
        """Whether an encoder, by default the only one, is self-supervised; None where it was not told."""
        card = self.run["encoder_cards"][encoder] if encoder else self.run["encoder_card"]
        return None if card["self_supervised"] == "not told" else card["self_supervised"]

    def panels_of(self, name: str) -> list[Panel]:
        """The panels of a name: it alone, or followed by a level or a number."""
        return [panel for panel in self.panels if is_of(panel.name, name)]
