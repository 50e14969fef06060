"""The hub: what is handed on is what is fetched, through its own client and a server of one repository."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest
from planted_content import content

from probes import page
from rcdm_core.errors import UserError
from rcdm_core.hub import handed_on
from rcdm_core.rcdm import RCDM, load_rcdm
from rcdm_core.rcdm.rcdm import JoinedRCDM
from rcdm_probe import push_run, runs

SHA = "0" * 40


class Repositories(BaseHTTPRequestHandler):
    """Keeps the files that are committed, and gives them back."""

    files: dict[str, bytes]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.endswith("/commit/main"):
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            address = f"http://{self.headers['Host']}/someone/it/commit/{SHA}"
            return self._say({"commitUrl": address, "commitOid": SHA, "success": True})
        if "/preupload/" in self.path:
            modes = [
                {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False}
                for one in json.loads(body)["files"]
            ]
            return self._say({"files": modes})
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization', 'someone')}/{asked['name'].rpartition('/')[2]}"
            return self._say({"url": f"http://{self.headers['Host']}/{name}"})
        return self._say({"errors": [], "warnings": []})

    def do_GET(self) -> None:
        if self.path.startswith("/api/"):
            tree = [{"type": "file", "path": name, "size": len(data), "oid": SHA} for name, data in self.files.items()]
            siblings = [{"rfilename": name} for name in self.files]
            return self._say(tree if "/tree/" in self.path else {"id": "a/b", "sha": SHA, "siblings": siblings})
        return self._file()

    do_HEAD = do_GET

    def _file(self) -> None:
        data = self.files[self.path.partition(f"/resolve/{SHA}/")[2]]
        headers = {"ETag": f'"{hash(data)}"', "X-Repo-Commit": SHA}
        self._answer(data, headers)

    def _say(self, content: object) -> None:
        self._answer(json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _answer(self, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """The files of the one repository of a hub on this machine, which the client takes for the hub."""
    files: dict[str, bytes] = {}
    handler = type("Handler", (Repositories,), {"files": files})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        for name, value in {
            "ENDPOINT": address,
            "HUGGINGFACE_CO_URL_TEMPLATE": address + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(tmp_path / "hub"),
        }.items():
            monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
        yield files
        server.shutdown()


def test_an_rcdm_comes_back_from_a_folder_and_from_the_hub(
    tiny_rcdm: Path, tmp_path: Path, repository: dict[str, bytes]
) -> None:
    rcdm = RCDM.from_pretrained(tiny_rcdm)
    own = rcdm.save_pretrained(tmp_path / "own")
    rcdm.push_to_hub("someone/theirs")
    assert {"rcdm.json", "heads.safetensors", "unet/config.json", "README.md"} <= set(repository)
    for name in (own, "someone/theirs", "hf:someone/theirs"):
        again = load_rcdm(name) if str(name).startswith("hf:") else RCDM.from_pretrained(name)
        assert again.fingerprint == rcdm.fingerprint
        assert again.conditions == rcdm.conditions
    told = repository["README.md"].decode()
    assert 'RCDM.from_pretrained("someone/theirs")' in told
    assert "| vicreg/backbone | 384 |" in told


def test_the_card_of_an_rcdm_says_what_its_card_says_and_leaves_somebodys_own_alone(tmp_path: Path) -> None:
    embedded = RCDM.from_pretrained()
    page = embedded.save_pretrained(tmp_path) / "README.md"
    told = page.read_text()
    scores = embedded.card["scores"]["vicreg/backbone"]
    assert f"| vicreg/backbone | 384 | {scores['MRR']:.3g} | {scores['mean rank']:.3g} |" in told
    assert embedded.card["encoders"]["vicreg"] in told
    embedded.save_pretrained(tmp_path)
    assert page.read_text() == told
    page.write_text("mine")
    embedded.save_pretrained(tmp_path)
    assert page.read_text() == "mine"
    with pytest.raises(UserError, match="not one"):
        JoinedRCDM([embedded]).save_pretrained(tmp_path / "joined")


def test_a_finished_run_is_handed_on_whole_and_another_is_refused(tmp_path: Path, repository: dict[str, bytes]) -> None:
    found = content(levels=("backbone",), transformations=("blur", "grayscale"), images=30, rcdm=False, factors=False)
    records = pd.DataFrame({"value": [1.0]})
    runs.save(tmp_path / "run", records=records, facts=found.run, write=partial(page.write, found))
    push_run(tmp_path / "run", "someone/run")
    left = {path.relative_to(tmp_path / "run").as_posix() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert set(repository) == left | {"README.md"}
    told = repository["README.md"].decode()
    assert "data_files: records.parquet" in told
    assert all(verdict.sentence in told for verdict in found.verdicts) or "verdict-grid" in str(repository)
    with pytest.raises(UserError, match="no finished run"):
        push_run(tmp_path, "someone/run")
    (tmp_path / "run" / "records.parquet").write_bytes(b"half")
    with pytest.raises(UserError, match="records.parquet is not as its run has left it"):
        push_run(tmp_path / "run", "someone/run")


@pytest.mark.parametrize("name", ["someone/theirs", "no name"])
def test_without_a_network_it_is_one_line(
    tiny_rcdm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for act in (
        lambda: handed_on(tiny_rcdm, ["rcdm.json"], name),
        lambda: load_rcdm(f"hf:{name}"),
        lambda: RCDM.from_pretrained("someone/theirs"),
    ):
        with pytest.raises(UserError) as told:
            act()
        assert len(str(told.value).splitlines()) == 1
        assert "Hugging Face hub" in str(told.value)
