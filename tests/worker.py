"""A function that can be stopped at any point: its own process, with proxies before its servers."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from uuid import uuid4

import httpx

from local.faults.plan import Fault, FaultPlan, FaultRequest
from local.faults.serving import serving
from local.ports import free_port
from local.processes import Child
from local.proxy.app import create_app
from local.stack import REPOSITORY
from local.world import Options, World, environment

ASK = "POST /v1/chat/completions"


@dataclass
class Worker:
    """A served function of its own. `faults` strike RPCs by name, the servers by method and path."""

    child: Child
    address: str
    faults: FaultPlan[FaultRequest]
    threads: ThreadPoolExecutor

    def tick(self) -> Future[httpx.Response]:
        """Start a run, as the scheduler does."""
        return self.threads.submit(httpx.post, self.address, json={}, timeout=120.0, trust_env=False)

    def held_at(self, call: str, name: str) -> Fault[FaultRequest]:
        """Start a run and wait until this call is held.

        By a `hold_request` it is held before it is carried out, by a `hold_answer` after.
        """
        fault = self.faults.add(FaultRequest(name=name, on=call))
        self.tick()
        wait_until(lambda: fault.held == 1)
        return fault

    def kill(self) -> None:
        """End the process without a warning, as a platform does; what is held never goes on."""
        self.child.kill()


@contextmanager
def a_worker(place: World, function: str = "scan_tick", *, model_url: str | None = None) -> Iterator[Worker]:
    """A worker over the world's stack and exchange, with the world's model or another one."""
    with ExitStack() as stack:
        faults: FaultPlan[FaultRequest] = FaultPlan()
        threads = stack.enter_context(ThreadPoolExecutor(32))

        def before(address: str) -> str:
            return stack.enter_context(serving(create_app(address, faults)))

        supabase = before(place.stack.supabase_url)
        model = before((model_url or str(place.model_url)).removesuffix("/v1"))
        exchange = before(place.exchange_url.removesuffix("/v2"))
        port = free_port()
        environ = environment(function, place.stack, f"{exchange}/v2", f"{model}/v1", Options())
        child = Child.start(
            f"worker-{uuid4().hex[:8]}",
            [
                *(sys.executable, "-m", "functions_framework", "--host", "127.0.0.1", "--port", str(port)),
                *("--source", f"functions/{function}/main.py", "--target", function),
            ],
            folder=place.stack.folder,
            environ=environ | {"SUPABASE_URL": supabase, "THREADS": "32"},
            cwd=REPOSITORY,
        )
        stack.callback(child.stop, patience_s=0.0)
        address = f"http://127.0.0.1:{port}"
        child.wait_for_http(f"{address}/health")
        yield Worker(child, address, faults, threads)


def wait_until(true: Callable[[], bool], patience_s: float = 20.0) -> None:
    """Wait for something that happens by itself. Raises AssertionError when it does not."""
    deadline = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
