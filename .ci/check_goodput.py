"""Checks the figures that `goodput --json` printed: an object a case, a line each."""

import json
import sys

# Below this share of the capacity everybody is answered; above it, at least so much of it is used.
USED = 0.97
# Of all upstream calls ...
WASTED = 0.01
# ... and of the keys of one organisation, whose window is a second in these cases.
WASTED_A_WINDOW = 2
# A generator later than this has measured the machine, and not the layer.
LATE_MS = 50
# What was due at the window's end may be answered after it: a share of the requests, and a few.
ON_THE_WAY = 0.02, 10

CASES = {
    "burst10-60", "burst10-120", "burst10-145", "burst10-200",
    "burst1-60", "burst1-120", "burst1-145", "burst1-200",
    "two-orgs-140", "two-orgs-200", "one-org-200",
    "tokens-110", "tokens-180",
    "gemini-145", "gemini-200",
    "day", "gemini-day",
}

cases = {case["case"]: case for case in map(json.loads, open(sys.argv[1]))}
problems = []
if set(cases) != CASES:
    problems.append(f"missing {sorted(CASES - set(cases))}, unknown {sorted(set(cases) - CASES)}")


def demand(holds, case, words):
    if not holds:
        problems.append(f"{case['case']}: {words}: {case}")


for case in cases.values():
    demand(case["late_ms"] <= LATE_MS, case, "the load came too late to measure anything")
    demand(case["utilisation"] <= 1.01, case, "more was used than allowed: the measurement is wrong")
    if case["offered"] < USED * case["capacity"]:
        share, few = ON_THE_WAY
        answered = case["ok"] >= case["offered"] * (1 - share) - few
        demand(case["failed"] == 0 and answered, case, "not everybody was answered")
    else:
        demand(case["utilisation"] >= USED, case, f"less than {USED:.0%} of the capacity was used")
    wasted = case["wasted_calls"]
    demand(wasted <= WASTED * case["upstream_calls"], case, f"more than {WASTED:.0%} of the calls were wasted")
    if "-org" in case["case"]:
        demand(wasted <= WASTED_A_WINDOW * case["seconds"], case, "too many wasted calls a window")

if problems:
    sys.exit("\n".join(problems))
print("the goodput's figures hold")
