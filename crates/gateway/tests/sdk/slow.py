"""A file that the official SDK uploads slowly, through a gateway that waits 1 s for the head of a response.

    slow.py ORIGIN

The caller's own time must not count as the provider's. `.ci/sdk` does the rest.
"""

import io
import sys
import time

import openai

CONTENT = b'{"custom_id":"one","method":"POST","url":"/v1/chat/completions","body":{}}\n' * 6000


class Slow(io.BytesIO):
    """A file whose pieces of 64 KiB each take half a second."""

    def read(self, size=-1):
        time.sleep(0.5)
        return super().read(size)


def main():
    client = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key="none", max_retries=0)
    began = time.monotonic()
    raw = client.files.with_raw_response.create(file=("slow.jsonl", Slow(CONTENT)), purpose="batch")
    assert time.monotonic() - began > 2, "the upload is slower than the limit"
    assert raw.headers["x-attempts"] == "1", raw.headers
    assert client.files.content(raw.parse().id).read() == CONTENT
    print("ok  a slow upload")


main()
