"""Coding agents, as their programs: a prompt, a loop with a tool, a resumed session, and what they do about errors."""

import json
import re
import subprocess
import sys
import tempfile
import time

import agents
from checks import WORDS, outcome, report

# Sessions that are resumed with two accounts.
SESSIONS = 10

# Words with which an agent shows that no key is valid: the gateway's, or those of the provider's refusal.
REASON = re.compile(r"invalid_key|API key not valid|Incorrect API key|Invalid API key|invalid x-api-key")

# A check that takes longer has failed, in seconds.
LONGEST = 900

# The gateway of each check, and the accounts that its keys belong to.
PLACES = {
    "prompt": ("one", "one"),
    "tools": ("one", "one"),
    "resume": ("two", "two"),
    "limited": ("limited", "one"),
    "slow": ("slow", "one"),
    "invalid": ("invalid", "two"),
}


class Place:
    """A gateway, and the requests in its log since the last look."""

    def __init__(self, origin, token, log):
        self.origin, self.token, self.log, self.read = origin, token, log, 0
        self.requests()

    def requests(self):
        """Status, key and number of calls of each request to a model."""
        with open(self.log) as log:
            log.seek(self.read)
            text = log.read()
            self.read = log.tell()
        lines = [line for line in text.splitlines() if "gateway::access" in line and "gen_ai.request.model" in line]
        part = lambda line, name: (re.search(rf'\b{name}="?([^\s"]+)', line) or [None, None])[1]
        return [(part(line, "status"), part(line, "key"), part(line, "attempts")) for line in lines]


def run(agent, place, prompt="say hi", session=None, longest=120):
    """The exit status and the output of a run of the agent."""
    command, variables = agent.command(place.origin, place.token, prompt, session)
    done = subprocess.run(
        command, env=agent.environment(variables), cwd=agent.folder, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=longest,
    )
    return done.returncode, done.stdout


def served(agent, place, **more):
    """The output of a run that has to succeed."""
    status, output = run(agent, place, **more)
    assert status == 0 and WORDS in output, f"ended with {status}: {output[-1500:]}"
    return output


def prompt(agent, place):
    served(agent, place)


def tools(agent, place):
    served(agent, place)
    # The call of a tool, and the response to its result.
    assert [status for status, _, _ in place.requests()].count("200") >= 2


def resume(agent, place):
    for number in range(SESSIONS):
        place.requests()
        first = served(agent, place, prompt=f"say hi {number}")
        session = agents.session_of(agent, first)
        served(agent, place, prompt="say it again", session=session)
        requests = place.requests()
        assert all(status == "200" and attempts == "1" for status, _, attempts in requests), requests
        if agent.keeps_account:
            assert len({key for _, key, _ in requests}) == 1, f"session {number}: {requests}"


def limited(agent, place):
    for _ in range(2):
        served(agent, place)


def slow(agent, place):
    served(agent, place)
    assert all(status == "200" for status, _, _ in place.requests()), "the agent gave up"


def invalid(agent, place):
    for _ in range(2):
        began = time.monotonic()
        _, output = run(agent, place)
        seconds = time.monotonic() - began
        assert REASON.search(output), output[-1500:]
        assert seconds < agent.patience, f"{seconds} s"


CHECKS = dict(prompt=prompt, tools=tools, resume=resume, limited=limited, slow=slow, invalid=invalid)


def main():
    places = json.loads(sys.argv[1])
    for kind in agents.ALL:
        with tempfile.TemporaryDirectory() as home:
            agent = kind(places["packages"], home)
            for name, check in CHECKS.items():
                if name == "resume" and not agent.session or name == "tools" and not agent.has_tools:
                    continue
                gateway, accounts = PLACES[name]
                place = Place(places[gateway], places["token"], places["logs"][gateway])
                error = outcome(lambda place: check(agent, place), place, LONGEST)
                report(agent.package, agent.version(), accounts, name, error)


main()
