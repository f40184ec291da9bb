"""How fast orders may leave, and when the exchange is left alone."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack

import pytest

from functions.execute.pace import LONGEST_WAIT_S, ORDERS_A_SECOND, POINTS_LEFT_ALONE, Pace
from shared.bitvavo import RateLimit

pytestmark = pytest.mark.unit


class Clock:
    """A clock that moves when it is read, so that waiting ends."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


def test_a_sixth_order_waits_until_the_first_is_a_second_old() -> None:
    """Five orders leave at once; the next one leaves a second after the first."""
    pace = Pace(time.monotonic)
    begun = time.monotonic()
    for _ in range(ORDERS_A_SECOND):
        with pace.turn() as turn:
            assert turn is not None
            turn.use()
    assert time.monotonic() - begun < 0.5
    with pace.turn() as turn:
        assert turn is not None
    assert time.monotonic() - begun >= 0.99


def test_a_turn_that_was_not_used_is_given_back() -> None:
    """A refused claim costs nobody an order."""
    pace = Pace(Clock())
    for _ in range(ORDERS_A_SECOND * 10):
        with pace.turn() as turn:
            assert turn is not None


def test_a_turn_is_given_back_after_an_error() -> None:
    """Whatever happens inside a turn, it ends."""
    pace = Pace(Clock())
    for _ in range(ORDERS_A_SECOND * 2):
        with pytest.raises(RuntimeError), pace.turn():
            raise RuntimeError


def test_who_waits_too_long_is_told_to_come_back() -> None:
    """With five turns held, the sixth gets none, and not before its time is over."""
    pace = Pace(time.monotonic)
    with ExitStack() as held:
        for _ in range(ORDERS_A_SECOND):
            held.enter_context(pace.turn())
        begun = time.monotonic()
        with pace.turn() as turn:
            assert turn is None
        assert time.monotonic() - begun == pytest.approx(LONGEST_WAIT_S, abs=0.5)


def test_many_threads_never_hold_more_than_five_turns() -> None:
    """The limit holds among threads, and everybody gets a turn."""
    pace = Pace(time.monotonic)
    lock, now, most, served = threading.Lock(), 0, 0, 0

    def work() -> None:
        nonlocal now, most, served
        with pace.turn() as turn:
            if turn is None:
                return
            with lock:
                now, served = now + 1, served + 1
                most = max(most, now)
            time.sleep(0.005)
            with lock:
                now -= 1

    threads = [threading.Thread(target=work) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most <= ORDERS_A_SECOND
    assert served == 50


def rests_for(limit: RateLimit | None, now_ms: int) -> float:
    """Seconds until an order may leave again, to a second."""
    clock = Clock()
    pace = Pace(clock)
    pace.heed(limit, now_ms)
    begun = clock.now
    while True:
        with pace.turn() as turn:
            if turn is not None:
                return round(clock.now - begun)
        clock.now += 1


NOW = 1_790_000_000_000


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [
        (None, 0),
        (RateLimit(1000, POINTS_LEFT_ALONE, NOW + 30_000), 0),
        (RateLimit(1000, POINTS_LEFT_ALONE - 1, NOW + 30_000), 30),
        (RateLimit(1000, 1, NOW + 30_000), 30),
        (RateLimit(1000, 0, NOW + 30_000), 60),  # perhaps a ban
        (RateLimit(0, 0, 0), 60),  # a ban without headers
        (RateLimit(1000, 0, NOW + 3_600_000), 60),  # clocks that disagree by an hour
        (RateLimit(1000, 0, NOW - 3_600_000), 60),
    ],
)
def test_a_nearly_spent_rate_limit_is_left_alone(limit: RateLimit | None, seconds: int) -> None:
    """Little left means rest until the limit is full again, and never longer than its minute."""
    assert rests_for(limit, NOW) == pytest.approx(seconds, abs=1)
