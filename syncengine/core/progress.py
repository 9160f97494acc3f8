"""How far long work is, as one line of a terminal (SYN-5)."""

from __future__ import annotations

from dataclasses import dataclass, replace

SPIN = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
PLAIN_SPIN = "|/-\\"
BAR = 20
HONEST_SECONDS, HONEST_SHARE = 3.0, 0.05
"""From when on a rate says something about the rest."""


@dataclass(frozen=True, slots=True)
class Step:
    """One kind of work: since when (seconds of a clock that only goes forward), how many so far, and of how many; None
    where nobody knows. first: how many there were when it began."""

    what: str
    since: float
    first: int = 0
    done: int = 0
    total: int | None = None


def moved(before: Step | None, what: str, done: int, total: int | None, now: float) -> Step:
    """The step after a word about it; another kind of work begins anew."""
    if before is None or before.what != what or done < before.done:
        return Step(what, now, done, done, total)
    return replace(before, done=done, total=total)


def line(step: Step, now: float, turn: int, width: int, *, plain: bool = False) -> str:
    """What is shown at `now`, shorter than `width`. turn: counts the pictures, so that something moves."""
    spin = (PLAIN_SPIN if plain else SPIN)[turn % len(PLAIN_SPIN if plain else SPIN)]
    what = "".join(c if c.isprintable() else "?" for c in step.what)
    parts = [f"{spin} {what}"]
    if step.total:
        parts += [_bar(step, plain=plain), f"{step.done:,} of {step.total:,}"] if width >= 60 else [_share(step)]
    elif step.done:
        parts.append(f"{step.done:,}")
    parts.append(_left(step, now) or _lasted(now - step.since))
    return "  ".join(part for part in parts if part)[: max(0, width - 1)]


def _share(step: Step) -> str:
    return f"{100 * step.done // (step.total or 1)} %"


def _bar(step: Step, *, plain: bool) -> str:
    full, empty = ("#", ".") if plain else ("█", "░")
    filled = min(BAR, BAR * step.done // (step.total or 1))
    return full * filled + empty * (BAR - filled)


def _left(step: Step, now: float) -> str:
    """The time the rest will take at the present rate, where that can be told honestly."""
    lasted, made = now - step.since, step.done - step.first
    if not step.total or lasted < HONEST_SECONDS or made < HONEST_SHARE * step.total or step.done >= step.total:
        return ""
    return f"about {_duration((step.total - step.done) * lasted / made)} left"


def _lasted(seconds: float) -> str:
    return f"for {_duration(seconds)}" if seconds >= HONEST_SECONDS else ""


def _duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min" if whole < 3600 else f"{whole // 3600} h"
