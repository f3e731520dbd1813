"""The breaker by itself, with a clock of the test's."""

import time

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from pegboard.config.model import IsolationConfig
from pegboard.isolation.breaker import CALLED, REFUSED, Breaker, Cause

SETTINGS = IsolationConfig(
    window=30, minimum_calls=4, failure_ratio=0.5, open_seconds=10, max_open_seconds=40, probes=2
)
WRONG = Cause("KeyError", "service.py:7 fund")


class Clock:
    """Stands still unless moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def states() -> list[str]:
    """The states that the breaker took on."""
    return []


@pytest.fixture
def breaker(clock: Clock, states: list[str]) -> Breaker:
    return Breaker(SETTINGS, changed=lambda one: states.append(one.state), clock=clock)


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.failed(WRONG, breaker.admit())


def succeed(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.succeeded(breaker.admit())


def test_it_opens_once_enough_calls_were_made_and_half_of_them_failed(breaker: Breaker):
    fail(breaker, 3)
    assert breaker.state == "closed"  # too few
    succeed(breaker, 4)
    assert breaker.state == "closed"
    fail(breaker, 1)
    assert breaker.state == "open"
    assert breaker.cause == WRONG
    assert breaker.admit() == REFUSED


def test_what_says_nothing_of_the_plugin_neither_opens_nor_hides(breaker: Breaker):
    for _ in range(1_000):
        breaker.undecided(breaker.admit())
    assert breaker.counts == (0, 0)
    fail(breaker, 4)
    assert breaker.state == "open"


def test_old_failures_count_no_more(breaker: Breaker, clock: Clock):
    fail(breaker, 3)
    clock.now += SETTINGS.window + SETTINGS.window / 10
    fail(breaker, 1)
    assert breaker.counts == (1, 1)
    assert breaker.state == "closed"


def test_it_lets_a_few_through_after_a_while_and_closes_when_they_succeed(
    breaker: Breaker, clock: Clock, states: list[str]
):
    fail(breaker, 4)
    assert breaker.retry_in == 10
    clock.now += 10
    first, second = breaker.admit(), breaker.admit()
    assert REFUSED not in (first, second)
    assert breaker.admit() == REFUSED
    breaker.succeeded(first)
    third = breaker.admit()
    assert third != REFUSED
    breaker.undecided(third)  # a caller's mistake decides nothing and frees the place
    breaker.succeeded(second)
    assert states == ["open", "half_open", "closed"]
    fail(breaker, 3)
    assert breaker.state == "closed"  # from the start again


def test_it_stays_open_longer_each_time_up_to_a_bound(breaker: Breaker, clock: Clock):
    fail(breaker, 4)
    times: list[float] = []
    for _ in range(5):
        times.append(breaker.retry_in)
        clock.now += breaker.retry_in
        breaker.failed(WRONG, breaker.admit())
    assert times == [10, 20, 40, 40, 40]
    clock.now += 40
    succeed(breaker, 2)
    fail(breaker, 4)
    assert breaker.retry_in == 40  # it closed a moment ago: the same trouble
    clock.now += 40
    succeed(breaker, 2)
    clock.now += SETTINGS.window + 1
    fail(breaker, 4)
    assert breaker.retry_in == 10  # it had mended


def test_who_began_under_another_state_has_no_say(breaker: Breaker, clock: Clock):
    early = breaker.admit()
    fail(breaker, 4)
    breaker.failed(WRONG, early)
    clock.now += 10
    probe = breaker.admit()
    breaker.succeeded(early)
    breaker.succeeded(early)
    assert breaker.state == "half_open"
    breaker.failed(WRONG, early)
    assert breaker.state == "half_open"
    breaker.failed(WRONG, probe)
    assert breaker.state == "open"


def test_probes_that_never_end_do_not_keep_it_half_open(breaker: Breaker, clock: Clock):
    fail(breaker, 4)
    clock.now += 10
    assert REFUSED not in (breaker.admit(), breaker.admit())
    assert breaker.admit() == REFUSED
    clock.now += 10
    succeed(breaker, 2)
    assert breaker.state == "closed"


def test_calls_that_did_not_ask_count_once_each(breaker: Breaker):
    for _ in range(100):
        breaker.called()
    for _ in range(10):
        breaker.failed(WRONG, CALLED)
    assert breaker.counts == (100, 10)
    assert breaker.state == "closed"


def test_a_plugin_that_is_never_asked_closes_after_a_while_without_failures(breaker: Breaker, clock: Clock):
    for _ in range(4):
        breaker.failed(WRONG, CALLED)
    assert breaker.state == "open"
    breaker.called()
    assert breaker.state == "open"
    clock.now += 10
    breaker.called()
    assert breaker.state == "half_open"
    breaker.called()
    assert breaker.state == "half_open"
    clock.now += 10
    breaker.called()
    assert breaker.state == "closed"


def test_a_call_that_succeeds_costs_less_than_a_microsecond():
    """Much less where nothing else runs; the fastest of many rounds, as this machine may be busy."""
    breaker = Breaker(IsolationConfig(), changed=lambda _: None)
    rounds: list[float] = []
    for _ in range(200):
        began = time.perf_counter()
        for _ in range(200):
            breaker.succeeded(breaker.admit())
        rounds.append((time.perf_counter() - began) / 200)
    assert min(rounds) < 1e-6


class Machine(RuleBasedStateMachine):
    """Whatever is done to a breaker: it opens only by failures, refuses only for a bounded time, and comes back."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.breaker = Breaker(SETTINGS, changed=self.note, clock=self.clock)
        self.open_calls: list[tuple[int, str]] = []
        self.moves: list[tuple[str, str]] = []
        self.state = "closed"
        self.calls: list[tuple[float, bool]] = []

    def note(self, breaker: Breaker) -> None:
        self.moves.append((self.state, breaker.state))
        self.state = breaker.state

    @rule()
    def begin(self) -> None:
        state = self.breaker.state
        ticket = self.breaker.admit()
        if ticket == REFUSED:
            assert state != "closed"
        else:
            self.open_calls.append((ticket, self.breaker.state))

    @precondition(lambda self: self.open_calls)
    @rule(which=st.integers(0), outcome=st.sampled_from(["succeeded", "failed", "undecided"]))
    def end(self, which: int, outcome: str) -> None:
        ticket, _ = self.open_calls.pop(which % len(self.open_calls))
        before = self.breaker.state
        if outcome == "failed":
            self.breaker.failed(WRONG, ticket)
        else:
            getattr(self.breaker, outcome)(ticket)
            assert not (before != "open" and self.breaker.state == "open"), "opened by what is no failure"

    @rule(failed=st.booleans())
    def unasked(self, failed: bool) -> None:
        if failed:
            self.breaker.failed(WRONG, CALLED)
        else:
            self.breaker.called()

    @rule(seconds=st.floats(0, 60))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def counts_add_up(self) -> None:
        total, failed = self.breaker.counts
        assert 0 <= failed <= total

    @invariant()
    def a_pause_is_bounded(self) -> None:
        assert self.breaker.retry_in <= SETTINGS.max_open_seconds

    @invariant()
    def moves_are_those_of_a_breaker(self) -> None:
        allowed = {
            ("closed", "open"), ("open", "half_open"), ("half_open", "open"), ("half_open", "closed"),
        }  # fmt: skip
        assert set(self.moves) <= allowed

    def teardown(self) -> None:
        """Once everything succeeds, it closes: whatever was before, and whatever never ended."""
        for _ in range(SETTINGS.probes + 1):
            self.clock.now += SETTINGS.max_open_seconds
            while (ticket := self.breaker.admit()) != REFUSED and self.breaker.state != "closed":
                self.breaker.succeeded(ticket)
        assert self.breaker.state == "closed"


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
