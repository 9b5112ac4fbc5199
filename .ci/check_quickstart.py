"""Checks the figures that `quickstart --json` printed."""

import json
import sys

run = json.load(open(sys.argv[1]))
keys = {key["id"]: key for key in run["keys"]}

assert run["requests"] == 300, run
assert run["failed"] == 0 and run["ok"] == 300, run
assert run["wasted_calls"] <= 0.05 * run["requests"], run
for bad, state in [("revoked", "invalid"), ("empty", "quota_exceeded"), ("limited", "rate_limited")]:
    assert 1 <= keys[bad]["calls"] <= 3, (bad, run)
    assert keys[bad]["state"] == state, (bad, run)
print("the quickstart's figures hold")
