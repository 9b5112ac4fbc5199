"""Clients against the gateway in front of simulated providers.

    run.py BIN RESULTS PYTHON JS CLIENT…

BIN is the folder with the programs `key-rotation-gateway` and `examples/serve`. RESULTS is a file for the results, a
line of JSON for each check. A CLIENT is a program of `python`, run by PYTHON, or of JS, a copy of the folder `js` with
its packages. Exits with 1 if a check fails. `.ci/clients` does the rest.
"""

import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
PROVIDERS = [("openai", "/v1"), ("anthropic", "/v1"), ("gemini", "/v1beta/openai")]
# The gateways: keys of one account, of two accounts, a key that serves one request per second, a short limit for the
# head of a response, a key whose responses begin after five seconds, keys that the provider does not know, and a limited
# key before another one.
KEYS = {
    "one": ["a"], "two": ["a", "b"], "limited": ["slow"], "hasty": ["a"], "slow": ["late"], "invalid": ["x", "y"],
    "rotating": ["slow", "a"],
}
CHAIN = {"limited": "wait_for_key = false\n", "hasty": 'head_timeout = "1s"\n'}
SECRET = "sk-simulated-"


def start(command, log, line, count, env=None):
    """Starts a program, and returns it and what `line` matches in its first lines of output."""
    process = subprocess.Popen(command, stdout=open(log, "w"), stderr=subprocess.STDOUT, env={**os.environ, **(env or {})})
    for _ in range(200):
        found = re.findall(line, pathlib.Path(log).read_text(), re.MULTILINE)
        if len(found) >= count:
            return process, found
        if process.poll() is not None:
            break
        time.sleep(0.05)
    process.kill()
    sys.exit(f"{command[0]} did not start:\n{pathlib.Path(log).read_text()}")


def free_port():
    """A port for the server of the browser's page, whose origin the gateways have to know."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def config(origins, keys, name, page):
    text = f'listen = "127.0.0.1:0"\ntoken = "env:GATEWAY_TOKEN"\n[cors]\norigins = ["{page}"]\n'
    text += f'[chain]\n{CHAIN.get(name, "")}'
    for (provider, path), origin in zip(PROVIDERS, origins):
        text += f'[[provider]]\nname = "{provider}"\nbase_url = "{origin}{path}"\n'
        text += "".join(f'[[provider.key]]\nid = "{key}"\nsecret = "{SECRET}{key}"\n' for key in keys)
    return text


def self_signed(folder):
    """A certificate for this machine with its key, in one file."""
    file = folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", file, "-out", folder / "own.pem"]
    subprocess.run(command, check=True, capture_output=True)
    file.write_text(file.read_text() + (folder / "own.pem").read_text())
    return file


def run_client(client, python, js, places):
    """The results of a client's program."""
    at = pathlib.Path(js) / client if client.endswith(".mjs") else HERE / "python" / f"with_{client}.py"
    program = "node" if client.endswith(".mjs") else python
    begun = time.monotonic()
    trusted = {name: places["certificate"] for name in ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"]}
    command = [program, at, json.dumps(places)]
    out = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **trusted})
    results = [json.loads(line[len("RESULT "):]) for line in out.stdout.splitlines() if line.startswith("RESULT ")]
    if out.returncode or not results:
        error = f"{client} ended with {out.returncode}\n{out.stdout[-2000:]}\n{out.stderr[-2000:]}"
        results.append({"client": client, "version": "", "accounts": "one", "capability": "chat", "error": error})
    for result in results:
        if result["error"]:
            print(f"FAILED {result['client']} {result['capability']}, {result['accounts']}:\n{result['error']}")
    failed = sum(1 for result in results if result["error"])
    seconds = time.monotonic() - begun
    print(f"{client}: {len(results) - failed} of {len(results)} checks pass, {seconds:.1f} s", flush=True)
    return results


def main():
    binaries, results_file, python, js, *clients = sys.argv[1:]
    folder = pathlib.Path(tempfile.mkdtemp())
    token = f"clients-token-{os.getpid()}"
    certificate = str(self_signed(folder))
    places = {"token": token, "packages": js, "logs": {}, "certificate": certificate}
    places["page"] = f"http://127.0.0.1:{free_port()}"
    running, results = [], []
    try:
        sim, origins = start([f"{binaries}/examples/serve"], folder / "sim.log", r"^\w+: (http://[\d.:]+)", 3)
        running.append(sim)
        for name, keys in KEYS.items():
            file = folder / f"{name}.toml"
            file.write_text(config(origins, keys, name, places["page"]))
            command = [f"{binaries}/key-rotation-gateway", "--config", file]
            log = folder / f"{name}.log"
            gateway, [origin] = start(command, log, r"^listening on (\S+)", 1, {"GATEWAY_TOKEN": token})
            running.append(gateway)
            places[name], places["logs"][name] = origin, str(log)
        command = [sys.executable, HERE / "tls.py", certificate, places["one"], places["two"]]
        tls, secure = start(command, folder / "tls.log", r"^https://\S+", 2)
        running.append(tls)
        places["secure"] = dict(zip(["one", "two"], secure))
        for client in clients:
            results += run_client(client, python, js, places)
        for gateway in running[1:-1]:
            gateway.terminate()
            assert gateway.wait(timeout=40) == 0, "a gateway did not stop well"
    finally:
        for process in running:
            process.kill()
    for name in KEYS:
        log = (folder / f"{name}.log").read_text()
        assert token not in log and SECRET not in log, f"a secret is in the log of gateway {name}"
    with open(results_file, "a") as file:
        file.writelines(json.dumps(result) + "\n" for result in results)
    sys.exit(any(result["error"] for result in results))


main()
