"""How each coding agent is started without a person: one prompt, and the end."""

import json
import os
import pathlib
import re
import sys

# The programs would ask for updates and send statistics.
QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "TERM": "dumb",
}


class Agent:
    """A coding agent. `packages` is the folder that npm installed into, `home` the agent's home folder."""

    package = None
    # Matches the id of the session in the output of a run. `None`: the agent has no sessions.
    session = None
    # Whether the agent's model calls tools.
    has_tools = True
    # Whether all requests of a session go to one account: the agent names its session.
    keeps_account = True
    # Longest time in seconds until the agent ends when no key is valid.
    patience = 15

    def __init__(self, packages, home):
        self.packages, self.home = pathlib.Path(packages) / "node_modules", pathlib.Path(home)
        # Sessions belong to the folder in which the agent works.
        self.folder = self.home / "work"
        self.folder.mkdir()

    def version(self):
        return json.loads((self.packages / self.package / "package.json").read_text())["version"]

    def program(self, *names):
        """The first of these files: the program for this machine."""
        return str(sorted(path for name in names for path in self.packages.glob(name))[0])

    def configure(self, path, settings):
        file = self.home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings))
        return str(file)

    def command(self, origin, token, prompt, session):
        """The command and its variables; `session` is the one to resume, if any."""
        raise NotImplementedError

    def environment(self, more):
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), **QUIET, **more}


class Claude(Agent):
    package, session = "@anthropic-ai/claude-code", r'"session_id":"([^"]+)"'

    def command(self, origin, token, prompt, session):
        command = [self.program("@anthropic-ai/claude-code-*/claude"), "-p", prompt, "--model", "claude-sonnet-4-5"]
        command += ["--output-format", "json", *(["--resume", session] if session else [])]
        return command, {"ANTHROPIC_BASE_URL": f"{origin}/anthropic", "ANTHROPIC_API_KEY": token}


class Codex(Agent):
    package, session = "@openai/codex", r'"thread_id":"([^"]+)"'

    def command(self, origin, token, prompt, session):
        gateway = f'{{name="gateway",base_url="{origin}/v1",env_key="GATEWAY_TOKEN",wire_api="responses"}}'
        settings = ["-c", "model_provider=gateway", "-c", f"model_providers.gateway={gateway}", "-m", "gpt-5"]
        resume = ["resume", session] if session else []
        command = [self.program(".bin/codex"), "exec", *resume, "--skip-git-repo-check", "--json", *settings, prompt]
        return command, {"GATEWAY_TOKEN": token}


class Gemini(Agent):
    package, session, keeps_account = "@google/gemini-cli", r'"session_id": "([^"]+)"', False

    def command(self, origin, token, prompt, session):
        auth = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
        quiet = {"privacy": {"usageStatisticsEnabled": False}, "general": {"disableAutoUpdate": True}}
        self.configure(".gemini/settings.json", {**auth, **quiet})
        command = [self.program(".bin/gemini"), "--skip-trust", "-p", prompt, "-m", "gemini-2.5-flash"]
        command += ["--output-format", "json", *(["--resume", session] if session else [])]
        return command, {"GOOGLE_GEMINI_BASE_URL": f"{origin}/gemini", "GEMINI_API_KEY": token}


class OpenCode(Agent):
    package, session = "opencode-ai", r'"sessionID":"([^"]+)"'

    def command(self, origin, token, prompt, session):
        options = {"baseURL": f"{origin}/v1", "apiKey": token}
        provider = {"npm": "@ai-sdk/openai-compatible", "name": "gateway", "options": options}
        provider["models"] = {"gpt-4o": {"name": "gpt-4o"}}
        settings = {"autoupdate": False, "share": "disabled", "provider": {"gateway": provider}}
        file = self.configure("opencode.json", settings)
        command = [self.program("opencode-*/bin/opencode"), "run", "-m", "gateway/gpt-4o", "--format", "json"]
        return [*command, *(["--session", session] if session else []), prompt], {"OPENCODE_CONFIG": file}


class Pi(Agent):
    package, session = "@mariozechner/pi-coding-agent", r'"type":"session"[^\n]*?"id":"([^"]+)"'
    keeps_account, patience = False, 30

    def command(self, origin, token, prompt, session):
        model = {"id": "claude-sonnet-4-5", "name": "claude", "reasoning": False, "input": ["text"]}
        model |= {"contextWindow": 200_000, "maxTokens": 8_000}
        model["cost"] = dict.fromkeys(["input", "output", "cacheRead", "cacheWrite"], 0)
        api = {"baseUrl": f"{origin}/anthropic", "api": "anthropic-messages", "apiKey": "GATEWAY_TOKEN"}
        self.configure(".pi/agent/models.json", {"providers": {"gateway": {**api, "models": [model]}}})
        command = [self.program(".bin/pi"), "-p", prompt, "--provider", "gateway", "--model", model["id"]]
        command += ["--mode", "json", *(["--session", session] if session else [])]
        return command, {"GATEWAY_TOKEN": token}


class Aider(Agent):
    """Edits files by text, without tools. It repeats a 403 for a minute, and shows the reason at once."""

    package, has_tools, patience = "aider-chat", False, 100

    def version(self):
        import importlib.metadata

        return importlib.metadata.version(self.package)

    def command(self, origin, token, prompt, session):
        command = [str(pathlib.Path(sys.executable).parent / "aider"), "--model", "openai/gpt-4o", "--no-git"]
        command += ["--yes-always", "--no-check-update", "--no-analytics", "--no-show-model-warnings"]
        command += ["--no-show-release-notes", "--message", prompt]
        return command, {"OPENAI_API_BASE": f"{origin}/v1", "OPENAI_API_KEY": token}


ALL = [Claude, Codex, Gemini, OpenCode, Pi, Aider]


def session_of(agent, output):
    """The id of the session of a run."""
    found = re.search(agent.session, output)
    assert found, f"no session in {output[:500]}"
    return found[1]
