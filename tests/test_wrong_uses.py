"""Wrong uses of the command line: each is one line on the standard error that names what is wrong, and exit code 2."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from conftest import SCRIPT
from typer.testing import CliRunner, Result

from rcdm_core.bounds import LARGEST_SEED
from rcdm_core.errors import UserError
from rcdm_core.rcdm import load_rcdm
from rcdm_probe import adversarial, fidelity, interpolation, invariance, manipulation, neighbourhood
from rcdm_probe.cli import app

Command = Callable[..., Result]

HUGE = 2**64
PROBES = {
    "invariance": "invariance -e vicreg --rcdm none",
    "adversarial": "adversarial -e vicreg --rcdm none",
    "fidelity": "fidelity -e vicreg",
    "interpolate": "interpolate -e vicreg",
    "manipulate": "manipulate -e vicreg",
    "generate": "generate -e vicreg",
    "corruptions": "corruptions -e vicreg",
    "occlusion": "occlusion -e vicreg",
    "similarity": "similarity -e vicreg",
    "train": "train -e vicreg --data scenes --out made",
    "sample": "sample scenes:0 -e vicreg",
    "bench": "bench",
    "zoo": "zoo evaluate",
}
SEEDS = [
    *((f"{words} --seed {HUGE}", str(HUGE)) for words in PROBES.values()),
    *((f"{words} --seed -1", "-1") for words in (PROBES["sample"], PROBES["train"], "reproduce")),
    ("invariance -e vicreg --seed 1.5", "1.5"),
    ("invariance -e vicreg --seed nan", "nan"),
    (f"invariance -e vicreg --weights random:{HUGE}", str(HUGE)),
    ("invariance -e vicreg --weights random:" + "9" * 5000, "is no number"),
    (f"adversarial -e vicreg --weights vicreg=random:{HUGE}", str(HUGE)),
    ("sample scenes:" + "9" * 5000 + " -e vicreg", "there is no scene"),
    ("sample scenes:-1 -e vicreg", "-1"),
    ("sample scenes: -e vicreg", "there is no scene ''"),
]
NUMBERS = [
    *((f"{PROBES['adversarial']} --eps {text}", text) for text in ("nan", "inf", "0", "-1", "a")),
    *((f"{PROBES['adversarial']} --eps {text}", text.replace(",", ", ")) for text in ("2,1", "1,1", "1e+09", "1e-09")),
    *((f"{PROBES['adversarial']} --eps {text}", "''" if text == "''" else ",") for text in (",", ",,", "1,,2")),
    *((f"{PROBES['adversarial']} --eps-l2 {text}", text) for text in ("nan", "-inf", "0", "1e+99")),
    ("adversarial -e vicreg --rcdm none --eps 2 --eps 1", "2, 1"),
    ("adversarial -e vicreg --rcdm none --images 0", "--images"),
    ("adversarial -e vicreg --rcdm none --images -5", "-5"),
    (f"adversarial -e vicreg --rcdm none --images {10**30}", str(10**30)),
    ("adversarial -e vicreg --rcdm none --attack-steps 0", "--attack-steps"),
    (f"adversarial -e vicreg --rcdm none --attack-steps {10**12}", str(10**12)),
    ("adversarial -e vicreg --rcdm none --restarts 0", "--restarts"),
    ("adversarial -e vicreg --rcdm none --training -1", "-1"),
    ("adversarial -e vicreg --rcdm none --rendered -1", "-1"),
    ("adversarial -e vicreg --rcdm none --attack PDG", "PDG"),
    ("adversarial -e supervised --rcdm none", "supervised is compared with nothing"),
    ("adversarial --weights random", "whose they are"),
    ("invariance -e vicreg --images 0", "--images"),
    ("invariance -e vicreg --images -1", "-1"),
    ("invariance -e vicreg --images 1e3", "1e3"),
    (f"invariance -e vicreg --images {10**30}", str(10**30)),
    ("invariance -e vicreg --gallery -1", "-1"),
    ("invariance -e vicreg --batch-size 0", "0"),
    (f"invariance -e vicreg --batch-size {10**9}", str(10**9)),
    ("invariance -e vicreg --steps 0", "0"),
    ("invariance -e vicreg --steps 1001", "1001"),
    ("invariance -e vicreg --samples 1", "1"),
    (f"invariance -e vicreg --samples {10**12}", str(10**12)),
    ("invariance -e vicreg -t grayscal", "grayscal"),
    ("interpolate -e vicreg --pairs 0", "10, not 0"),
    ("interpolate -e vicreg --points 2", "4, not 2"),
    (f"interpolate -e vicreg --points {10**9}", str(10**9)),
    ("interpolate -e vicreg --pictures 0", "1, not 0"),
    ("interpolate -e vicreg --path linaer", "linaer"),
    ("interpolate scenes:0 -e vicreg", "1"),
    ("manipulate -e vicreg --strengths nan", "nan"),
    ("manipulate -e vicreg --strengths 1,inf", "inf"),
    ("manipulate -e vicreg --strengths 0", "no strength moves anything"),
    ("manipulate -e vicreg --strengths 1 --strengths 1", "1, 1"),
    ("manipulate -e vicreg --strengths ,", "','"),
    ("manipulate -e vicreg --quantile nan", "nan"),
    ("manipulate -e vicreg --quantile 1", "1"),
    ("manipulate -e vicreg --neighbours 0", "1, not 0"),
    ("manipulate -e vicreg --shared 20", "20"),
    ("manipulate -e vicreg --gallery 0", "60, not 0"),
    ("manipulate -e vicreg --moved 0", "1, not 0"),
    ("generate -e vicreg --count 0", "20, not 0"),
    ("generate -e vicreg --neighbours 99", "19, not 99"),
    ("generate -e vicreg --gallery 20", "20 images"),
    ("fidelity -e vicreg --images 3", "3"),
    ("similarity -e vicreg --images 19", "19"),
    ("similarity -e vicreg --ranked 1e3", "1e3"),
    ("similarity -e vicreg --images 99999", "ask for at most 10000"),
    ("occlusion -e vicreg --places 1", "2, not 1"),
    ("occlusion -e vicreg --places 33", "33 places on a side of 32 pixels"),
    ("occlusion -e vicreg --images 9990", "ask for at most 9980"),
    (f"occlusion -e vicreg --places {10**12}", str(10**12)),
    ("occlusion -e vicreg --pictures 0", "1, not 0"),
    ("corruptions -e vicreg --gallery 19", "20, not 19"),
    ("corruptions -e vicreg --images 9990", "ask for at most 9980"),
    ("corruptions -e vicreg -c fogg", "did you mean fog"),
    ("corruptions -e vicreg --reference ''", "unknown encoder ''"),
    ("corruptions -e supervised", "supervised is compared with nothing"),
    ("corruptions -e vicreg --level projector", "projector"),
    ("fidelity -e vicreg --swept-images 3", "3 images"),
    ("fidelity -e vicreg --compared -1", "-1"),
    ("train -e vicreg --data scenes --out made --lr nan", "nan"),
    ("train -e vicreg --data scenes --out made --lr inf", "inf"),
    ("train -e vicreg --data scenes --out made --lr 0", "0"),
    ("train -e vicreg --data scenes --out made --ema nan", "nan"),
    ("train -e vicreg --data scenes --out made --ema 1", "1"),
    ("train -e vicreg --data scenes --out made --steps 0", "0"),
    (f"train -e vicreg --data scenes --out made --steps {10**30}", str(10**30)),
    (f"train -e vicreg --data scenes --out made --image-size {10**9}", str(10**9)),
    (f"bench --images 2 --ranked {10**12}", str(10**12)),
    (f"sample scenes:0 -e vicreg --samples {10**12}", str(10**12)),
    (f"invariance -e vicreg --device cuda:{10**30}", "CUDA"),
]
NAMES = [
    ("invariance", "--encoder"),
    ("invariance -e", "-e"),
    ("invariance vicreg", "--encoder"),
    ("encoders vicreg simclr", "simclr"),
    ("sample -e vicreg", "IMAGE"),
    ("zoo paint", "paint"),
    ("invariance -e ''", "''"),
    ("invariance -e vicreg --level ''", "''"),
    ("invariance -e vicreg --solver ''", "''"),
    ("invariance -e vicreg --device ''", "''"),
    ("invariance -e vicreg,simclr", "vicreg,simclr"),
    ("invariance -e vicreg --data ~nosuchuser/x", "~nosuchuser/x"),
    ("invariance -e vicreg --weights ~nosuchuser/x.pt", "~nosuchuser/x.pt"),
    ("adversarial -e vicreg --weights vicreg=~nosuchuser/x.pt", "~nosuchuser/x.pt"),
    ("invariance -e vicreg --rcdm ~nosuchuser/x", "~nosuchuser/x"),
    ("invariance -e torchhub/~nosuchuser/hub:net", "~nosuchuser/hub"),
    ("sample ~nosuchuser/x.png -e vicreg", "~nosuchuser/x.png"),
    ("interpolate ~nosuchuser/x.png scenes:0 -e vicreg", "~nosuchuser/x.png"),
    ("manipulate ~nosuchuser/x.png -e vicreg", "~nosuchuser/x.png"),
    ("manipulate scenes:0 --target ~nosuchuser/x.png -e vicreg", "~nosuchuser/x.png"),
    ("train -e vicreg --data ~nosuchuser/x --out made", "~nosuchuser/x"),
    ("train -e vicreg --data scenes --out made --start ~nosuchuser/x", "~nosuchuser/x"),
    ("convert ~nosuchuser/x.pt --out made", "~nosuchuser/x.pt"),
    ("sample scenes:0 -e vicreg --out ''", "empty name"),
    ("invariance -e vicreg --data [bold]no[/bold]:cat:", "[bold]no[/bold]:cat:"),
]


def words(text: str) -> list[str]:
    """The arguments of a line; two apostrophes are an empty one."""
    return ["" if word == "''" else word for word in text.split()]


def line_of(result: Result) -> str:
    """The one line of a command that failed, as a mistake of the user does."""
    assert result.exit_code == 2, (result.output, result.exception)
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("rcdm-probe: ")
    return line


@pytest.mark.parametrize("arguments, named", [*SEEDS, *NUMBERS, *NAMES])
def test_each_is_one_line_that_names_it(command: Command, arguments: str, named: str) -> None:
    assert named in line_of(command(*words(arguments)))
    assert not Path("runs").exists()
    assert not Path("made").exists()


def options() -> Iterator[tuple[str, str, Any]]:
    """Every option of every command: the command, a name of the option, the option."""

    def of(group: Any, before: str) -> Iterator[tuple[str, str, Any]]:
        context = typer.Context(group)
        for name in group.list_commands(context):
            command = group.whole(name, group.get_command(context, name))
            if hasattr(command, "commands"):
                yield from of(command, f"{before}{name} ")
                continue
            for option in command.params:
                if option.param_type_name == "option" and not option.is_eager:
                    yield from ((before + name, spelled, option) for spelled in (*option.opts, *option.secondary_opts))

    yield from of(typer.main.get_command(app), "")


def test_every_option_that_takes_one_value_is_refused_when_it_is_given_two(command: Command) -> None:
    seen = 0
    for name, spelled, option in options():
        if option.multiple:
            continue
        values = [] if option.is_flag else ["1"]
        line = line_of(command(*name.split(), spelled, *values, spelled, *values))
        assert f"{max(option.opts, key=len)} " in line
        assert "is given 2 times: give it once" in line
        seen += 1
    assert seen > 150


def test_every_list_written_with_commas_can_be_given_in_several_options() -> None:
    for name, spelled, option in options():
        if option.metavar and option.metavar.endswith(",..."):
            assert option.multiple, (name, spelled)


def test_budgets_of_several_options_are_all_attacked(command: Command) -> None:
    brief = "adversarial -e vicreg --rcdm none --images 20 --training 40 --attack Margin --attack-steps 1 --out out"
    result = command(*brief.split(), "--eps", "0.5", "--eps", "2,4")
    assert result.exit_code == 0, result.output
    import pandas as pd

    records = pd.read_parquet("out/records.parquet").query("measure == 'cosine' and condition == 'Margin'")
    assert set(records["strength"]) == {0.5, 2.0, 4.0}


def test_budgets_that_look_like_shares_of_white_are_told(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rcdm_probe.conduct.conduct", stop)  # told before anything is measured
    for eps, told in (("0.0314", True), ("8", False)):
        result = command(*PROBES["adversarial"].split(), "--out", eps, "--eps", eps)
        assert result.exit_code == 130, result.output
        assert (f"{eps} is {eps}/255, 8 is 8/255" in result.stderr) == told


@pytest.mark.parametrize("seed", [-1, 2**32, 2**63, 2**64, 1.5, float("nan"), "0", None, True])
def test_python_has_the_bounds_of_the_command_line(seed: Any) -> None:
    for study in (invariance, interpolation, manipulation, neighbourhood):
        with pytest.raises(UserError, match=f"seed: .*from 0 to {LARGEST_SEED}"):
            study("vicreg", seed=seed)
    for study in (adversarial, fidelity):
        with pytest.raises(UserError, match=f"seed: .*from 0 to {LARGEST_SEED}"):
            study(["vicreg"], seed=seed)


@pytest.mark.parametrize(
    "study, wrong, says",
    [
        (invariance, {"images": "many"}, "images: 'many': give a whole number"),
        (invariance, {"images": 30.0}, "images: 30.0"),
        (invariance, {"transformations": "blur"}, "transformations: 'blur' is no list: give one such as"),
        (invariance, {"steps": 0}, "steps: 0: give a whole number from 1 to 1000"),
        (invariance, {"batch_size": -1}, "batch size: -1"),
        (manipulation, {"strengths": 2.0}, "strengths: 2.0 is no list"),
        (manipulation, {"strengths": (1.0, float("nan"))}, "strengths: nan"),
        (manipulation, {"quantile": "0.7"}, "quantile: '0.7'"),
        (neighbourhood, {"count": 10**30}, "count: 1000"),
        (interpolation, {"points": 10**9}, "points: 1000000000"),
    ],
)
def test_python_says_what_a_setting_may_be(study: Callable[..., Any], wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        study("vicreg", **wrong)


def test_a_seed_from_numpy_is_a_seed_and_the_decoder_has_bounds_of_its_own() -> None:
    import numpy as np
    import torch

    from probes.invariance import Invariance

    assert Invariance(seed=np.int64(LARGEST_SEED)).seed == LARGEST_SEED
    with pytest.raises(UserError, match="seed"):
        load_rcdm().sample(torch.zeros(1, 384), "vicreg/backbone", seed=HUGE)


@pytest.mark.parametrize(
    "error, says",
    [
        (MemoryError(), "too little memory"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
            "too little memory",
        ),
        (OSError(28, "No space left on device", "/full/x"), "No space left on device (/full/x)"),
        (UserError("a name\nof two lines \udcff"), r"a name\x0aof two lines \xff"),
    ],
)
def test_what_a_machine_has_too_little_of_is_one_line(
    command: Command, monkeypatch: pytest.MonkeyPatch, error: Exception, says: str
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("rcdm_probe.opening.open_encoder", fails)
    assert says in line_of(command("sample", "scenes:1", "-e", "vicreg"))


def test_a_folder_that_is_gone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert "is gone" in line_of(CliRunner().invoke(app, ["invariance", "-e", "vicreg"]))


@pytest.mark.parametrize(
    "shell, code, told",
    [
        ("$RCDM encoders | head -1", 0, ""),
        ("$RCDM encoders >&-", 0, ""),
        ("$RCDM encoders --all 2>&-", 2, ""),
        ("$RCDM encoders <&- >&- 2>&-", 0, ""),
        ("$RCDM encoders >/dev/full", 2, "the output cannot be written (No space left on device)"),
        ("$RCDM encoders --all 2>/dev/full", 2, ""),
        ("PYTHONIOENCODING=latin-1 $RCDM encoders", 0, ""),
        ("PYTHONIOENCODING=ascii LC_ALL=C $RCDM \u00e9", 2, "No such command '?'"),
        ("TERM=dumb NO_COLOR=1 COLUMNS=0 $RCDM encoders", 0, ""),
        ("COLUMNS=-3 LINES=x $RCDM --help", 0, ""),
    ],
)  # fmt: skip
def test_streams_and_terminals_of_every_kind(tmp_path: Path, shell: str, code: int, told: str) -> None:
    found = subprocess.run(
        ["bash", "-o", "pipefail", "-c", shell], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "RCDM": str(SCRIPT)},
    )  # fmt: skip
    assert found.returncode == code, found.stderr
    assert "Traceback" not in found.stderr
    assert told in found.stderr
    assert len(found.stderr.splitlines()) == bool(told)


@pytest.mark.parametrize("words", ["invariance --rcdm none", "train --data scenes --steps 1 --image-size 32"])
def test_settings_of_matplotlibs_that_are_no_text_are_told_before_anything_is_computed(
    tmp_path: Path, words: str
) -> None:
    (tmp_path / "matplotlibrc").write_bytes(b"\xff\xfe")
    line = [str(SCRIPT), *words.split(), "-e", "vicreg", "--out", "out"]
    found = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (2, "")
    assert "mend the file matplotlibrc" in found.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()
    assert not any(did in found.stderr for did in ("encoding", "transforming", "training"))
