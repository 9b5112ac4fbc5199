"""Runs the checks of one client, and prints a line of JSON for each.

A program of this folder defines one function for each capability of its client, and gives them to `run`. It is started
with one argument, the places as JSON: see `run.py`.
"""

import importlib.metadata
import json
import signal
import sys
import time
import traceback
import urllib.request

WORDS = "quick brown fox"
SCHEMA = {"type": "object", "properties": {"topic": {"type": "string"}}, "required": ["topic"]}

# Checks that need a gateway of their own, and run once.
SPECIAL = {"retries": "limited", "slow upload": "hasty", "rotation": "rotating"}

# A check that takes longer has failed, in seconds.
LONGEST = 40


class Place:
    """A gateway, the token it asks for, and how often a check repeats whatever has state."""

    # The same gateway with TLS.
    secure = None

    def __init__(self, origin, token, times):
        self.origin, self.token, self.times = origin, token, times

    def wrong(self):
        """The same gateway, with a token that it refuses."""
        return Place(self.origin, "wrong-token", self.times)

    def in_flight(self):
        """Number of requests at the providers."""
        request = urllib.request.Request(f"{self.origin}/api/key-status", headers={"authorization": f"Bearer {self.token}"})
        text = urllib.request.urlopen(request).read()
        return sum(key["in_flight"] for provider in json.loads(text)["providers"] for key in provider["keys"])

    def is_idle(self):
        """Whether no request is at a provider, or soon will be."""
        for _ in range(50):
            if self.in_flight() == 0:
                return True
            time.sleep(0.05)
        return False


def expect(kind, act):
    """What `act` fails with, which has to be a `kind`."""
    try:
        act()
    except kind as error:
        return error
    raise AssertionError(f"no {kind}")


def run(package, checks):
    places = json.loads(sys.argv[1])
    version = importlib.metadata.version(package)
    for accounts in ["one", "two"]:
        for capability, check in checks.items():
            if capability in SPECIAL:
                if accounts == "two":
                    continue
                place = Place(places[SPECIAL[capability]], places["token"], 1)
            else:
                place = Place(places[accounts], places["token"], 1 if accounts == "one" else 6)
                place.secure = places["secure"][accounts]
            report(package, version, accounts, capability, outcome(check, place))


def outcome(check, place, longest=LONGEST):
    def late(*_):
        raise TimeoutError(f"no end after {longest} s")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(longest)
    try:
        check(place)
        return None
    except BaseException:
        return traceback.format_exc(limit=-4)
    finally:
        signal.alarm(0)


def report(package, version, accounts, capability, error):
    line = {"client": package, "version": version, "accounts": accounts, "capability": capability, "error": error}
    print("RESULT " + json.dumps(line), flush=True)
