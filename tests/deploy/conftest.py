"""One clone and two servers for all tests of the deployment; empty projects for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy import stand_in
from tests.deploy.cloud import Deployment, Project, make_clone, serving


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_clone(tmp_path_factory.mktemp("deploy"))
    stand_in.CLONE[:] = [folder]
    return folder


@pytest.fixture(scope="session")
def project() -> Iterator[Project]:
    with Project() as server, serving(server):
        yield server


@pytest.fixture(scope="session")
def gcloud() -> Iterator[stand_in.Server]:
    with stand_in.Server() as server, serving(server):
        yield server


@pytest.fixture(scope="session")
def after_a_first_run(
    clone: Path, project: Project, gcloud: stand_in.Server, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Both projects as a first run leaves them, and its calls of gcloud."""
    first = _empty(clone, project, gcloud, tmp_path_factory.mktemp("first"))
    run = first.run()
    assert run.status == 0, run.out
    return {"google": first.cloud.state(), "controls": dict(project.controls), "calls": first.cloud.calls}


@pytest.fixture
def deployed(after_a_first_run: dict[str, Any], deployment: Deployment) -> Deployment:
    """A deployment whose first run has ended; calls are counted from here."""
    deployment.cloud.keep(after_a_first_run["google"])
    deployment.project.controls = dict(after_a_first_run["controls"])
    deployment.project.migrated.touch()
    return deployment


@pytest.fixture
def deployment(clone: Path, project: Project, gcloud: stand_in.Server, tmp_path: Path) -> Deployment:
    """Projects in which nothing is yet."""
    return _empty(clone, project, gcloud, tmp_path)


def _empty(clone: Path, project: Project, gcloud: stand_in.Server, folder: Path) -> Deployment:
    gcloud.cloud = stand_in.Cloud(folder / "state", f"{project.url}/functions")
    return Deployment(clone, folder, project, gcloud.cloud, gcloud.server_address[1])
