"""Gives one parser inputs that nobody has thought of, and sees that each ends as it may.

It may return, or raise one of the errors that its target allows. What else it does is a find: any
other exception, more lines of Python than the input's length allows, seconds of the processor in
one input, or memory that is not given back. An input that reaches a new line, or is refused at a
new place, is kept and changed further. The same seed and number of inputs give the same inputs.
"""

from __future__ import annotations

import gc
import hashlib
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import _lru_cache_wrapper
from random import Random
from time import monotonic
from types import FrameType, TracebackType
from typing import Any

from tests.fuzz.coverage import Steps, TooManyStepsError, lines
from tests.fuzz.mutation import Form, Mutator

HANG = 5.0
"""Seconds of the processor in which one input must be done: what no line of Python counts, as a
regular expression that looks again and again. Four looks in it."""
COUNT_EACH = 64
"""Of so many inputs one has its lines counted, which makes it slow; and each that is kept has."""
MAX_KEPT = 4096
GROWTH_INPUTS = 1500
"""Of one window, unless another number is asked for: memory is looked at before and after."""
WINDOWS = 3
GROWTH_EACH = 0.25
"""Blocks of memory for each input of a window that may be more than before: bounded caches and
words that Python keeps fill up slowly; what is kept for each input is one at least."""
LOOKING = 0.8
"""Of a target's seconds: what is left is for the look at memory."""
GROWTH_SLACK = 100
"""Blocks that few inputs may leave as well as many: what the interpreter keeps of its own."""
RECENT = 16
MINIMISE = 400
"""Inputs that are tried to make a find shorter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One parser, or one side of a conversation, and what may become of an input."""

    name: str
    run: Callable[[bytes], object]
    """Takes an input from the first byte to the last one; leaves nothing behind."""
    seeds: Callable[[], Iterable[bytes]]
    """Inputs that are good, or nearly."""
    allowed: tuple[type[Exception], ...]
    forms: tuple[Form, ...] = ()
    tokens: tuple[bytes, ...] = ()
    most: int = 4096
    """Bytes of an input."""
    steps: tuple[int, int] = (3_000, 60)
    """Lines of Python that an input may take: these, and so many more for each of its bytes."""


@dataclass(frozen=True, slots=True)
class Find:
    """What one input did that none may do."""

    data: bytes
    what: str
    """In a line."""
    where: str

    @property
    def name(self) -> str:
        """Of its file."""
        return hashlib.sha256(self.data).hexdigest()[:12]


@dataclass(slots=True)
class Result:
    """What one target has taken."""

    target: str
    inputs: int = 0
    seconds: float = 0.0
    seed_lines: int = 0
    """That the corpus reaches."""
    new_lines: int = 0
    """And changed inputs beyond it."""
    corpus: int = 0
    growth: int = 0
    """Blocks of memory that a window of inputs has left, the least of all windows."""
    most_steps: int = 0
    finds: list[Find] = field(default_factory=list)
    new: list[bytes] = field(default_factory=list)
    """Inputs that reached something new, in order."""

    @property
    def is_good(self) -> bool:
        return not self.finds


class HangError(BaseException):
    """One input takes seconds of the processor."""


class Fuzzer:
    """One target's.

    Args:
        corpus: Inputs that were kept before, besides the target's seeds.
        seed: Of all chance.
        window: Inputs between two looks at memory.
    """

    def __init__(
        self,
        target: Target,
        corpus: Sequence[bytes] = (),
        *,
        seed: int = 0,
        window: int = GROWTH_INPUTS,
    ) -> None:
        self.result = Result(target.name)
        self._window = window
        self._target = target
        name = int.from_bytes(hashlib.sha256(target.name.encode()).digest()[:4], "big")
        self._dice = Random(seed ^ name)
        self._mutator = Mutator(self._dice, target.forms, target.tokens, target.most)
        self._kept = list(dict.fromkeys((*target.seeds(), *corpus))) or [b""]
        self._lines = lines()
        self._places: set[str] = set()
        self._found: set[str] = set()

    def run(self, *, seconds: float | None = None, inputs: int | None = None) -> Result:
        """Go on until one of the two is used up.

        Args:
            seconds: On the clock; of these a fifth at most is for the look at memory.
            inputs: Changed ones, besides the corpus and the look at memory.
        """
        began = monotonic()
        result = self.result
        try:
            with _watched(result):
                for data in list(self._kept):
                    self._try(data, is_watched=True, is_counted=False)
                    self._try(data, is_watched=False, is_counted=True)
                result.seed_lines = self._lines.count
                while not self._is_over(inputs, monotonic() - began, seconds):
                    self._try_new()
                result.new_lines = self._lines.count - result.seed_lines
        finally:
            self._lines.end()
        if not result.finds:  # what fails may leave anything behind
            with _watched(result):
                self._look_at_memory(None if seconds is None else began + seconds)
        result.corpus = len(self._kept)
        result.seconds = monotonic() - began
        return result

    def _is_over(self, inputs: int | None, took: float, seconds: float | None) -> bool:
        if any(find.where == HangError.__name__ for find in self.result.finds):
            return True  # each that follows takes as long
        if inputs is not None and self.result.inputs >= inputs:
            return True
        return seconds is not None and took >= LOOKING * seconds

    def _try_new(self) -> None:
        data = self._new()
        number = self.result.inputs
        before, places = self._lines.count, len(self._places)
        is_counted = number % COUNT_EACH == 0
        self._try(data, is_watched=self._lines.is_due(number), is_counted=is_counted)
        if self._lines.count == before and len(self._places) == places:
            return
        if not is_counted:
            self._try(data, is_watched=False, is_counted=True)
        self.result.new.append(data)
        if len(self._kept) < MAX_KEPT:
            self._kept.append(data)

    def _new(self) -> bytes:
        kept, dice = self._kept, self._dice
        recent = kept[-RECENT:] if dice.random() < 0.3 else kept
        return self._mutator.mutate(dice.choice(recent), dice.choice(kept))

    def _try(self, data: bytes, *, is_watched: bool, is_counted: bool) -> None:
        self.result.inputs += 1
        first, each = self._target.steps
        if is_counted:
            steps = Steps(first + each * len(data))
            error = _outcome(self._target, data, steps.counting())
            self.result.most_steps = max(self.result.most_steps, steps.taken)
        elif is_watched:
            error = _outcome(self._target, data, self._lines.watching())
        else:
            error = _outcome(self._target, data, None)
        if error is None:
            return
        where = _place(error)
        if isinstance(error, self._target.allowed):
            self._places.add(where)
        elif where not in self._found:
            self._found.add(where)
            shorter = data if isinstance(error, HangError) else self._shorter(data, where)
            text = f"{type(error).__name__}: {str(error)[:200]}"
            self.result.finds.append(Find(shorter, text, where))

    def _shorter(self, data: bytes, where: str) -> bytes:
        """The same find in fewer bytes."""
        size, tries = len(data) // 2, 0
        while size and tries < MINIMISE:
            at = 0
            while at < len(data) and tries < MINIMISE:
                less = data[:at] + data[at + size :]
                tries += 1
                error = _outcome(self._target, less, None)
                if error is not None and _place(error) == where:
                    data = less
                else:
                    at += size
            size //= 2
        return data

    def _look_at_memory(self, until: float | None) -> None:
        """See that inputs, each another one, leave nothing behind; in each of some windows, for
        what is bounded fills up and stays."""
        grown: list[int] = []
        count, most = self._window, 0.0
        before = _blocks()
        while len(grown) < WINDOWS:
            for done in range(count):
                self.result.inputs += 1
                _outcome(self._target, self._new(), None)
                if not grown and until is not None and done >= 150 and monotonic() > until:
                    count = done  # few, where there is little time: and as few in the others
                    break
            most = GROWTH_SLACK + GROWTH_EACH * count
            after = _blocks()
            grown.append(after - before)
            before = after
            if grown[-1] <= most:
                break
        self.result.growth = min(grown)
        if self.result.growth > most:
            text = f"{self.result.growth} blocks of memory more after {count} inputs, each time"
            self.result.finds.append(Find(self._new(), f"growth: {text}", "memory"))


def _outcome(target: Target, data: bytes, within: Any) -> BaseException | None:
    """What an input ends with; None: it is taken."""
    try:
        if within is None:
            target.run(data)
        else:
            with within:
                target.run(data)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001  what it is, is the question
        return error
    return None


def _place(error: BaseException) -> str:
    """What an error is and where it was raised: one find for each, however many inputs do it."""
    if isinstance(error, TooManyStepsError | HangError):
        return type(error).__name__
    trace: TracebackType | None = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(error).__name__
    return f"{type(error).__name__} {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


def _blocks() -> int:
    """Blocks of Python's memory that are in use, without caches that have a bound."""
    for name, module in list(sys.modules.items()):
        if name.startswith(("actr", "re", "urllib", "ipaddress", "aiortc", "aioice", "structlog")):
            for value in list(vars(module).values()):
                if isinstance(value, _lru_cache_wrapper) and value.cache_parameters()["maxsize"]:
                    value.cache_clear()
    gc.collect()
    return sys.getallocatedblocks()


@contextmanager
def _watched(result: Result) -> Iterator[None]:
    """End an input that takes ``HANG`` seconds of the processor, where signals can be had."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen: list[int] = []

    def look(number: int, frame: FrameType | None) -> None:
        del number, frame
        seen.append(result.inputs)
        if len(seen) > 4 and len(set(seen[-5:])) == 1:
            seen.clear()
            raise HangError(f"one input takes over {HANG:g} s of the processor")

    before = signal.signal(signal.SIGVTALRM, look)
    signal.setitimer(signal.ITIMER_VIRTUAL, HANG / 4, HANG / 4)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
