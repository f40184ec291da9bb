"""Both servers as processes: what they print, how they end, and one line for what is wrong."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from local.exchange.keys import READONLY_KEY, READONLY_SECRET, TRADE_KEY, TRADE_SECRET
from local.faults.serving import listen


def start(module: str, *arguments: str, environ: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "CANDLES": "", "PRICES": "", **(environ or {})},
    )


def lines(process: subprocess.Popen[str], number: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline() for _ in range(number)]


def address_in(line: str) -> str:
    found = re.search(r"http://127\.0\.0\.1:\d+", line)
    assert found is not None, line
    return found[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_exchange_prints_address_and_keys_and_ends_when_told(
    number: signal.Signals, tmp_path: Path
) -> None:
    """Address, source of the prices and both key pairs on standard output; exit 0 on a signal."""
    candles = tmp_path / "ADA-EUR_1h.csv"
    candles.write_text("timestamp,open,high,low,close,volume\n2024-01-01,10,12,9,11,3.5\n")
    process = start("local.exchange", environ={"CANDLES": str(candles)})
    said = lines(process, 6)
    try:
        assert httpx.get(f"{address_in(said[0])}/v2/time", trust_env=False).status_code == 200
        assert "ADA-EUR 1h from ADA-EUR_1h.csv" in said[1]
        assert {READONLY_KEY, READONLY_SECRET, TRADE_KEY, TRADE_SECRET} <= set("".join(said[2:]).split())
    finally:
        process.send_signal(number)
        _, error = process.communicate(timeout=10)
    assert (process.returncode, error) == (0, "")


def test_the_exchange_ends_while_a_request_is_held() -> None:
    """A held request does not keep the process alive."""
    process = start("local.exchange")
    try:
        address = address_in(lines(process, 1)[0])
        fault = {"name": "hold_request", "on": "GET /time"}
        httpx.post(f"{address}/_admin/faults", json=fault, trust_env=False).raise_for_status()
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{address}/v2/time", timeout=0.1, trust_env=False)
    finally:
        process.terminate()
        process.communicate(timeout=10)
    assert process.returncode == 0


def test_the_proxy_prints_its_address_and_ends_when_told() -> None:
    """One line that says where it is and what it stands before; exit 0 on a signal."""
    process = start("local.proxy", "--upstream", "http://127.0.0.1:9")
    said = lines(process, 1)[0]
    try:
        assert said.endswith(" before http://127.0.0.1:9\n")
        assert httpx.get(f"{address_in(said)}/x", trust_env=False).status_code == 502
    finally:
        process.terminate()
        _, error = process.communicate(timeout=10)
    assert (process.returncode, error) == (0, "")


def complaint(module: str, *arguments: str, environ: Mapping[str, str] | None = None) -> str:
    process = start(module, *arguments, environ=environ)
    said, error = process.communicate(timeout=20)
    assert (process.returncode, said) == (1, "")
    assert error.count("\n") == 1
    return error


def test_a_malformed_candle_file_is_one_line_and_exit_1(tmp_path: Path) -> None:
    """The line names the file, its line and the reason."""
    candles = tmp_path / "BTC-EUR_1h.csv"
    candles.write_text("timestamp,open,high,low,close,volume\n2024-01-01,10,12,9,eleven,3.5\n")
    error = complaint("local.exchange", environ={"CANDLES": str(candles)})
    assert error == f"{candles}:2: 'eleven' is not a number\n"


def test_a_port_in_use_is_one_line_and_exit_1() -> None:
    """The line names the port."""
    with listen(None) as taken:
        port = str(taken.getsockname()[1])
        assert port in complaint("local.exchange", "--port", port)
        assert port in complaint("local.proxy", "--upstream", "http://127.0.0.1:9", "--port", port)


def test_an_unknown_source_of_prices_is_refused() -> None:
    """PRICES is candles or bitvavo."""
    assert "PRICES=kraken" in complaint("local.exchange", environ={"PRICES": "kraken"})
