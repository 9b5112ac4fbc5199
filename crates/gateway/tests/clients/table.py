"""Writes the results of clients into the tables of a page.

    table.py RESULTS PAGE
"""

import json
import sys

# The tables: the name in their marks, and their columns.
SDKS = "chat stream tools structured embeddings files state errors cancel retries websocket".split()
AGENTS = "prompt tools resume limited slow invalid".split()
TABLES = {"clients": SDKS, "agents": AGENTS}
END = "<!-- end of the table -->\n"


def cell(results, capability):
    """What a client does with a capability: with keys of one account, and of two."""
    found = {result["accounts"]: result["error"] is None for result in results if result["capability"] == capability}
    if not found:
        return "–"
    if all(found.values()):
        return "yes"
    return "one account" if found.get("one") else "no"


def table(results, capabilities):
    lines = ["| client | " + " | ".join(capabilities) + " |\n", "|---" * (len(capabilities) + 1) + "|\n"]
    for client in dict.fromkeys((result["client"], result["version"]) for result in results):
        own = [result for result in results if (result["client"], result["version"]) == client]
        cells = " | ".join(cell(own, capability) for capability in capabilities)
        lines.append(f"| {' '.join(client)} | {cells} |\n")
    return "".join(lines)


def main():
    results_file, page = sys.argv[1:]
    results = [json.loads(line) for line in open(results_file)]
    of_agents = {result["client"] for result in results if result["capability"] == "prompt"}
    text = open(page).read()
    for name, capabilities in TABLES.items():
        own = [result for result in results if (result["client"] in of_agents) == (name == "agents")]
        before, rest = text.split(f"<!-- {name}: written by `.ci/clients table` -->\n")
        _, after = rest.split(END, 1)
        begin = f"<!-- {name}: written by `.ci/clients table` -->\n"
        text = before + begin + "\n" + table(own, capabilities) + "\n" + END + after
    open(page, "w").write(text)


main()
