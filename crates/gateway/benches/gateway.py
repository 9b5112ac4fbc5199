"""Compares the gateway with a bare hyper proxy, one core each, in interleaved rounds.

    python3 crates/gateway/benches/gateway.py [TOOLS]

TOOLS (default ../shared/tools) has the sources of `floor-proxy` and `mock-upstream`, and `wrk-post.lua`; wrk has to be
installed. The proxy under test runs on one core, upstream and load on the other. Prints, for 16 and 64 connections,
the medians of throughput and CPU time per request, their ratios, and the peak memory of the gateway.
"""

import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
TOOLS = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "../shared/tools").resolve()
TARGET = ROOT / "target" / "bench-tools"
ROUNDS, SECONDS = 12, 2
UPSTREAM, FLOOR, GATEWAY = 9001, 9101, 9102
BODY = '{"model":"gpt-4o","messages":[{"role":"user","content":"%s"}]}' % ("Say hello. " * 20)
KEYS = ["sk-ok-%d" % number for number in range(8)]

CONFIG = """
listen = "127.0.0.1:{gateway}"
[chain]
order = ["openai"]
deadline = "60s"
head_timeout = "30s"
first_content_timeout = "15s"
idle_timeout = "20s"
[[provider]]
name = "openai"
dialect = "openai"
base_url = "http://127.0.0.1:{upstream}/v1"
""" + "".join('[[provider.key]]\nid = "k%d"\nsecret = "%s"\n' % pair for pair in enumerate(KEYS))


def build():
    for tool in ["floor-proxy", "mock-upstream"]:
        env = dict(os.environ, CARGO_TARGET_DIR=str(TARGET))
        subprocess.run(["cargo", "build", "--quiet", "--release"], cwd=TOOLS / tool, env=env, check=True)
    subprocess.run(["cargo", "build", "--quiet", "--release", "-p", "tower-key-rotation-gateway"], cwd=ROOT, check=True)


def start(core, command, **env):
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(["taskset", "-c", str(core), *map(str, command)], env={**os.environ, **env}, **quiet)


def cpu_seconds(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mib(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def load(port, connections, request):
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s"]
    command += ["-s", str(TOOLS / "wrk-post.lua"), f"http://127.0.0.1:{port}/v1/chat/completions"]
    out = subprocess.run(command, env={**os.environ, "WRK_REQ": request}, capture_output=True, text=True, check=True)
    result = json.loads(next(line for line in out.stdout.splitlines() if line.startswith("RESULT"))[7:])
    assert result["non2xx"] == 0 and result["sockerr"] == 0, result
    return result


def measure(process, port, connections, request):
    before = cpu_seconds(process)
    result = load(port, connections, request)
    cpu = (cpu_seconds(process) - before) / result["requests"] * 1e6
    return result["requests"] / result["duration_us"] * 1e6, cpu


def main():
    if shutil.which("wrk") is None or not TOOLS.is_dir():
        sys.exit(f"not measured: needs wrk, and the tools in {TOOLS}")
    build()
    with tempfile.TemporaryDirectory() as folder:
        config, request = pathlib.Path(folder, "gateway.toml"), pathlib.Path(folder, "request")
        config.write_text(CONFIG.format(gateway=GATEWAY, upstream=UPSTREAM))
        request.write_text(f"content-type: application/json\nauthorization: Bearer {KEYS[0]}\n\n{BODY}")
        gateway = ROOT / "target/release/key-rotation-gateway"
        tools = TARGET / "release"
        upstream = start(1, [tools / "mock-upstream"], MOCK_PORT=str(UPSTREAM), MOCK_WORKERS="1")
        floor = start(0, [tools / "floor-proxy"], FLOOR_PORT=str(FLOOR), FLOOR_WORKERS="1",
                      FLOOR_UPSTREAM=f"127.0.0.1:{UPSTREAM}")
        ours = start(0, [gateway, "--config", config])
        try:
            time.sleep(2)
            for connections in [16, 64]:
                report(connections, floor, ours, str(request))
            print(f"peak memory of the gateway: {peak_mib(ours):.1f} MiB")
        finally:
            for process in [ours, floor, upstream]:
                process.kill()


def report(connections, floor, ours, request):
    rounds = [(measure(floor, FLOOR, connections, request), measure(ours, GATEWAY, connections, request))
              for _ in range(ROUNDS)]
    base, own = [[statistics.median(figures) for figures in zip(*side)] for side in zip(*rounds)]
    throughput = statistics.median(o[0] / b[0] for b, o in rounds)
    cpu = statistics.median(o[1] / b[1] for b, o in rounds)
    print(f"{connections} connections: floor {base[0]:.0f}/s, {base[1]:.1f} us CPU; gateway {own[0]:.0f}/s, "
          f"{own[1]:.1f} us CPU; throughput {throughput:.2f} of the floor, CPU {cpu:.2f} times")


main()
