"""Writes the results of clients into the table of a page.

    table.py RESULTS PAGE
"""

import json
import sys

BEGIN, END = "<!-- table: written by `.ci/clients table` -->\n", "<!-- end of the table -->\n"
CAPABILITIES = ["chat", "stream", "tools", "structured", "embeddings", "files", "state", "errors", "cancel", "retries"]


def cell(results, capability):
    """What a client does with a capability: with keys of one account, and of two."""
    found = {result["accounts"]: result["error"] is None for result in results if result["capability"] == capability}
    if not found:
        return "–"
    if all(found.values()):
        return "yes"
    return "one account" if found.get("one") else "no"


def main():
    results_file, page = sys.argv[1:]
    results = [json.loads(line) for line in open(results_file)]
    lines = ["| client | " + " | ".join(CAPABILITIES) + " |\n", "|---" * (len(CAPABILITIES) + 1) + "|\n"]
    for client in dict.fromkeys((result["client"], result["version"]) for result in results):
        own = [result for result in results if (result["client"], result["version"]) == client]
        cells = " | ".join(cell(own, capability) for capability in CAPABILITIES)
        lines.append(f"| {' '.join(client)} | {cells} |\n")
    text = open(page).read()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    open(page, "w").write(before + BEGIN + "\n" + "".join(lines) + "\n" + END + after)


main()
