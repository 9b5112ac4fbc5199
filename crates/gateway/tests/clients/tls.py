"""Ends TLS in front of gateways, as a proxy does: some SDKs open WebSockets with TLS only.

    tls.py CERTIFICATE ORIGIN…

Prints the address in front of each ORIGIN.
"""

import asyncio
import ssl
import sys
from urllib.parse import urlsplit


async def copy(reader, writer):
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass  # The other side sees the end of the connection.
    finally:
        writer.close()


def in_front_of(origin):
    async def pass_on(reader, writer):
        try:
            inner = await asyncio.open_connection(origin.hostname, origin.port)
        except OSError:
            return writer.close()
        await asyncio.gather(copy(reader, inner[1]), copy(inner[0], writer))

    return pass_on


async def main():
    certificate, *origins = sys.argv[1:]
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    servers = [await asyncio.start_server(in_front_of(urlsplit(it)), "127.0.0.1", 0, ssl=context) for it in origins]
    for server in servers:
        print(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


asyncio.run(main())
