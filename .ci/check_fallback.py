"""Checks the figures that `fallback --json` printed."""

import json
import sys

LINKS = ["openai", "anthropic", "gemini"]
KEYS = 3

run = json.load(open(sys.argv[1]))
phases = {phase["name"]: phase for phase in run["phases"]}


def called(link, phase):
    return phases[phase]["upstream_calls"][link]


assert list(phases) == [
    "all well", "exhausted", "refilled", "broken", "two broken", "flapping", "well again",
], run
assert run["failed"] == 0 and run["ok"] == run["requests"] == 880, run
for phase in phases.values():
    assert phase["failed"] == 0 and phase["ok"] == phase["requests"], phase
    assert sum(phase["served"][link] for link in LINKS) == phase["ok"], phase
    assert all(phase["upstream_calls"][link] >= phase["served"][link] for link in LINKS), phase

# A provider in trouble is hardly asked ...
assert 1 <= called("openai", "exhausted") <= KEYS, phases["exhausted"]
assert 5 <= called("openai", "broken") <= 12, phases["broken"]
assert called("openai", "two broken") <= 12, phases["two broken"]
assert 5 <= called("anthropic", "two broken") <= 12, phases["two broken"]
assert called("openai", "flapping") <= phases["flapping"]["requests"] / 3, phases["flapping"]
# ... and returned to when it is over.
for phase in ["refilled", "well again"]:
    assert phases[phase]["served"]["openai"] >= 10, phases[phase]
print("the fallback's figures hold")
