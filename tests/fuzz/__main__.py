"""`make fuzz`: every test marked `fuzz`, for ten minutes each: `python -m tests.fuzz --help`.

A fuzz target is a property of one parser (or protocol core) that hypothesis tries to break; its name states it. Each is
run again and again with other seeds until its time is over. What is found is shown with the smallest example, kept in
`.hypothesis`, and tried first by the next ordinary run; it belongs into the test as an `@example`.
"""

import argparse
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

PYTEST = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider")
NOTHING_COLLECTED = 5  # pytest's exit status


@dataclass
class Outcome:
    """What became of one target."""

    target: str
    runs: int
    seconds: float
    failure: str | None


def main() -> int:
    """0: nothing found; 1: something was; 2: there is no such target."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Run fuzz targets for a time each.")
    parser.add_argument("--seconds", type=float, default=600, help="for each target (600)")
    parser.add_argument("--jobs", type=int, default=2, help="targets side by side (2)")
    parser.add_argument("--list", action="store_true", help="name the targets, and end")
    parser.add_argument("only", nargs="*", help="targets whose names contain one of these words")
    args = parser.parse_args()
    targets = [name for name in collect() if not args.only or any(word in name for word in args.only)]
    if not targets:
        print("no such fuzz target; --list names them", file=sys.stderr)
        return 2
    if args.list:
        print("\n".join(targets))
        return 0
    expected_min = args.seconds * len(targets) / args.jobs / 60
    print(f"{len(targets)} targets, {args.seconds:g} s each, {args.jobs} at a time: some {expected_min:.0f} minutes")
    with ThreadPoolExecutor(args.jobs) as pool:
        outcomes = []
        for done in as_completed([pool.submit(fuzz, name, args.seconds) for name in targets]):
            outcome = done.result()
            outcomes.append(outcome)
            verdict = "FAILED" if outcome.failure else "ok"
            print(f"{verdict:6} {outcome.runs:4} runs {outcome.seconds:6.0f} s  {outcome.target}", flush=True)
    failures = [outcome for outcome in outcomes if outcome.failure]
    for outcome in failures:
        print(f"\n==== {outcome.target}\n{outcome.failure}")
    return 1 if failures else 0


def collect() -> list[str]:
    """The functions marked `fuzz`; all parameters of one are one target."""
    listed = subprocess.run([*PYTEST, "-m", "fuzz", "--collect-only"], capture_output=True, text=True, check=False)
    if listed.returncode not in (0, NOTHING_COLLECTED):
        raise SystemExit(listed.stdout + listed.stderr)
    names = [line.split("[", 1)[0] for line in listed.stdout.splitlines() if "::" in line]
    return list(dict.fromkeys(names))


def fuzz(target: str, seconds: float) -> Outcome:
    """Run one target until its time is over, or it fails."""
    began = time.monotonic()
    runs, failure = 0, None
    while failure is None and (runs == 0 or time.monotonic() - began < seconds):
        seed = random.getrandbits(32)
        options = (f"--hypothesis-seed={seed}", "--hypothesis-profile=fuzz")
        done = subprocess.run([*PYTEST, target, *options], capture_output=True, text=True, check=False)
        runs += 1
        if done.returncode != 0:
            failure = done.stdout + done.stderr
    return Outcome(target, runs, time.monotonic() - began, failure)


if __name__ == "__main__":
    sys.exit(main())
