"""The documentation: its code runs as it stands, its links lead somewhere, and its commands exist."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import probes.adversarial.attacks as attacks
import probes.transformations as transformations
from rcdm_core.encoders.catalogue import PUBLISHED_FILES
from rcdm_core.features import INCEPTION_FILE, INCEPTION_URL
from rcdm_probe import adversarial, fidelity
from rcdm_probe.cli import app
from rcdm_probe.known_probes import load_probe, places
from reports.names import file_name

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "examples" / "README.md"]
BLOCKS = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "extending.md").read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def registries():
    """What is registered within is gone afterwards."""
    kept = [(module._ENTRIES, dict(module._ENTRIES)) for module in (transformations, attacks)]
    yield
    for entries, before in kept:
        entries.clear()
        entries.update(before)


@pytest.mark.parametrize("block", BLOCKS, ids=[f"block{i}" for i in range(len(BLOCKS))])
def test_what_the_documentation_shows_runs(block, registries, capsys, monkeypatch):
    few = {"images": 20, "training": 80, "checked": 4, "floor": 4}
    monkeypatch.setattr("rcdm_probe.adversarial", lambda names, **given: adversarial(names, **{**given, **few}))
    monkeypatch.setitem(sys.modules, "shown", shown := ModuleType("shown"))  # a class and a probe ask for their module
    exec(compile(block, "docs/extending.md", "exec"), vars(shown))
    assert "print" not in block or capsys.readouterr().out.strip()


def test_the_python_of_the_readme_uses_nothing_that_it_does_not_define():
    (block,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    words = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F", "-"]
    checked = subprocess.run(words, input=block, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_and_pictures_are_there(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if (
            not target.startswith("http") and target != "functions.md"
        ):  # which `mkdocs build --strict` makes, and checks
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_and_options_exist(page):
    from typer import Context
    from typer.main import get_command

    group = get_command(app)
    text = page.read_text()
    shown = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)).replace("\\\n", " ")
    shown += "\n" + "\n".join(re.findall(r"`(rcdm-probe [^`]+)`", text))
    for line in re.findall(r"rcdm-probe ([^\n#&]+)", shown):
        words = line.split()
        if words[0].startswith("-"):
            continue
        _, command, words = group.resolve_command(Context(group), words)
        if hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        for word in words:
            assert not word.startswith("-") or word in {*options, "--help"}, f"{line}: {word}"


def test_figures_are_called_as_the_reports_call_them():
    rows = re.findall(r"^\| (`.+?`) \|", (ROOT / "docs" / "figures.md").read_text(), re.MULTILINE)
    explained = {re.sub(r"[A-Z]+", "*", name) for row in rows for name in re.findall(r"`(.+?)`", row)}
    known = set(figure_names())
    assert explained <= known
    told = {name.partition(" ")[2] for probe in map(load_probe, places()) for name in probe.wording.sections}
    assert {name.partition("-*")[0] for name in known - explained} <= told  # by the report itself


def figure_names():
    """Names of all figures, read off the code that makes them: an asterisk stands for a level or a number."""
    makers = [*ROOT.glob("probes/**/*.py"), ROOT / "rcdm_probe/reproduction.py"]
    for path in makers:
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(ast.Name("Show"), [ast.Constant("figure"), ast.Constant(name), *_]):
                    yield name
                case ast.Call(ast.Name("Panel" | "Map" | "in_columns" | "in_rows"), [ast.Constant(name), *_]):
                    yield file_name(name)
                case ast.Call(ast.Name("Panel" | "Map" | "in_columns" | "in_rows"), [ast.JoinedStr(parts), *_]):
                    words = [part.value if isinstance(part, ast.Constant) else "N" for part in parts]
                    yield file_name("".join(words)).replace("N", "*")


def test_published_files_are_named_as_they_are_looked_for():
    page = (ROOT / "docs" / "imagenet.md").read_text()
    for file in PUBLISHED_FILES.values():
        assert f"`{file.path.name}`" in page


def test_how_to_get_fid_is_told_where_it_is_looked_for():
    assert INCEPTION_URL in (ROOT / "docs" / "mathematics.md").read_text()
    assert INCEPTION_FILE in str(fidelity.__doc__)
    assert any("torch-fidelity" in line for line in (ROOT / "pyproject.toml").read_text().splitlines())


@pytest.mark.parametrize("module", [transformations, attacks])
def test_a_name_is_registered_once(module):
    entry = next(iter(module._ENTRIES.values()))
    with pytest.raises(ValueError, match="already"):
        module.register(entry)
