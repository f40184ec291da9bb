"""What is uploaded: each staged folder runs alone, from nothing but its requirements, and lacks the rest."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from local.deploy.settings import FUNCTIONS
from local.deploy.stage import digest, stage
from local.ports import free_port
from local.processes import Child
from shared.environment import FunctionName
from tests.deploy.cloud import REPOSITORY
from tests.unit.test_environment import environ
from tests.unit.test_walls import is_post

UV = REPOSITORY / ".local" / "uv" / "bin" / "uv"
DEPLOYED = "3.13"
LACKS = {
    "execute": ("openai", "functions.scan_tick", "functions.cleanup", "local"),
    "scan_tick": ("functions.execute", "functions.cleanup", "local"),
    "cleanup": ("openai", "functions.execute", "functions.scan_tick", "local"),
}
HAS = {"execute": "jwt", "scan_tick": "openai", "cleanup": "postgrest"}


@dataclass(frozen=True)
class Alone:
    """A staged folder, copied to where nothing else is, and the Python of its own environment."""

    function: FunctionName
    folder: Path
    python: Path

    def imports(self, module: str) -> bool:
        asked = subprocess.run(
            [self.python, "-c", f"import {module}"], cwd=self.folder, check=False, capture_output=True
        )
        return asked.returncode == 0


def _python() -> str:
    """The Python that is deployed where this machine has it, else the one that runs the tests."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for candidate in (shutil.which(f"python{DEPLOYED}"), *pyenv.glob(f"{DEPLOYED}.*/bin/python")):
        # The launcher that pyenv puts on the path fails where the version is not the chosen one.
        if (
            candidate
            and subprocess.run([candidate, "--version"], capture_output=True, check=False).returncode == 0
        ):
            return str(candidate)
    return sys.executable


def _uv(*arguments: str) -> None:
    environment = os.environ | {"UV_SYSTEM_CERTS": "1"}
    subprocess.run([UV, "--quiet", *arguments], env=environment, check=True, capture_output=True)


def _alone(function: FunctionName, place: Path) -> Alone:
    folder = place / function / "app"
    shutil.copytree(stage(function, place / "staged"), folder)
    venv = place / function / "venv"
    _uv("venv", "--no-project", "--python", _python(), str(venv))
    _uv("pip", "install", "--require-hashes", "--python", str(venv), "-r", str(folder / "requirements.txt"))
    return Alone(function, folder, venv / "bin" / "python")


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[FunctionName, Alone]:
    place = tmp_path_factory.mktemp("stage")
    with ThreadPoolExecutor() as pool:
        return dict(
            zip(FUNCTIONS, pool.map(lambda function: _alone(function, place), FUNCTIONS), strict=True)
        )


@pytest.fixture(scope="session")
def addresses(alone: dict[FunctionName, Alone]) -> Iterator[dict[str, str]]:
    """The three functions, each served as the platform serves it, with a database that nobody reaches."""
    children: list[Child] = []
    try:
        ports: dict[str, int] = {}
        for function, one in alone.items():
            ports[function] = free_port()
            settings = environ(
                function, SUPABASE_URL="http://127.0.0.1:9", BITVAVO_REST_URL="http://127.0.0.1:9/v2"
            )
            children.append(
                Child.start(
                    function,
                    [
                        one.python.parent / "functions-framework",
                        "--target",
                        function,
                        "--port",
                        str(ports[function]),
                    ],
                    folder=one.folder.parent,
                    environ=settings | {"HOME": str(one.folder.parent), "PATH": os.environ["PATH"]},
                    cwd=one.folder,
                )
            )
        for child in children:
            child.wait_for_port(ports[child.name])
        yield {function: f"http://127.0.0.1:{port}" for function, port in ports.items()}
    finally:
        for child in children:
            child.stop()


def test_each_folder_starts_alone_and_answers(addresses: dict[str, str]) -> None:
    """Nothing but the folder and its requirements: each answers what it must without a database."""
    with httpx.Client(trust_env=False, timeout=60.0) as http:
        assert http.get(f"{addresses['execute']}/health").status_code == 200
        approval = http.post(
            addresses["execute"], json={"proposalId": "00000000-0000-4000-8000-000000000000"}
        )
        assert (approval.status_code, approval.json()["code"]) == (401, "UNAUTHORIZED")
        for function in ("scan_tick", "cleanup"):
            answer = http.post(addresses[function])
            assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_each_environment_has_its_packages_and_lacks_the_others(
    alone: dict[FunctionName, Alone], function: FunctionName
) -> None:
    """No way to the model outside scan_tick, no code of another function anywhere."""
    one = alone[function]
    assert one.imports(HAS[function])
    assert [module for module in LACKS[function] if one.imports(module)] == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_only_execute_holds_code_that_places_an_order(
    alone: dict[FunctionName, Alone], function: FunctionName
) -> None:
    """A POST to the exchange stands in no other folder; the one POST that all have is the notification."""
    posting = {
        str(file.relative_to(alone[function].folder))
        for file in alone[function].folder.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if is_post(node)
    }
    places = {"functions/execute/exchange.py"} if function == "execute" else set()
    assert posting == {"shared/notify.py"} | places


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_folder_holds_what_is_uploaded_and_nothing_else(tmp_path: Path, function: str) -> None:
    """A root main.py, the function, shared and the requirements; the same again when made again."""
    folder = stage(function, tmp_path)
    top = {path.name for path in folder.iterdir()}
    assert top == {"main.py", "requirements.txt", "functions", "shared"}
    assert {path.name for path in (folder / "functions").iterdir()} == {"__init__.py", function}
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} <= {".py", ".md", ".txt"}
    assert not [path for path in folder.rglob("*") if path.name == "__pycache__"]
    before = digest(folder)
    (folder / "left over").touch()
    assert digest(stage(function, tmp_path)) == before


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_requirement_is_pinned_with_its_hash(tmp_path: Path, function: str) -> None:
    """pip installs these very files or nothing."""
    text = (stage(function, tmp_path) / "requirements.txt").read_text()
    lines = [
        line for line in text.replace("\\\n", "").splitlines() if line and not line.lstrip().startswith("#")
    ]
    assert any(line.startswith("functions-framework==") for line in lines)
    assert [line for line in lines if "==" not in line.split()[0] or "--hash=sha256:" not in line] == []
