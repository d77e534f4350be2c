"""Asks for the stateless reset tokens of a live connection: short-header datagrams with its ids, sent elsewhere.

    reset_oracle.py READY_LINE ADDRESS…
    {"ids": 8, "alive": true, "ADDRESS": {"answers": 8, "tokens": 0}, …}

The connection is to the ready line's address; each ADDRESS (host:port) is another one of the server's. `tokens` counts
answers that end in the true token of the id they were asked with.
"""
import asyncio, json, os, socket, sys
from aioquic.asyncio import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN
from aioquic.quic.configuration import QuicConfiguration

READY, ADDRESSES = json.loads(sys.argv[1]), sys.argv[2:]


def split(address):
    host, port = address.rsplit(":", 1)
    return host.strip("[]"), int(port)


async def ask(address, ids):
    """One id after the other, as an endpoint sends one reset in 20 ms at most."""
    host, port = split(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    asking = socket.socket(family, socket.SOCK_DGRAM)
    asking.setblocking(False)
    asking.connect((host, port))
    answers = tokens = 0
    loop = asyncio.get_running_loop()
    for name in ids:
        asking.send(bytes([0x40 | os.urandom(1)[0] & 0x3F]) + name.cid + os.urandom(60))
        try:
            answer = await asyncio.wait_for(loop.sock_recv(asking, 2048), 0.3)
        except asyncio.TimeoutError:
            continue
        answers += 1
        tokens += answer.endswith(name.stateless_reset_token)
        await asyncio.sleep(0.05)
    return {"answers": answers, "tokens": tokens}


async def main():
    configuration = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, server_name="localhost")
    configuration.load_verify_locations(READY["ca"])
    host, port = split(READY["h3"])
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    async with connect(host, port, configuration=configuration, create_protocol=QuicConnectionProtocol) as client:
        await client.ping()
        await asyncio.sleep(0.2)
        quic = client._quic
        # The first id's token came with the transport parameters.
        ids = [name for name in [quic._peer_cid, *quic._peer_cid_available] if name.stateless_reset_token]
        report = {"ids": len(ids)}
        for address in ADDRESSES:
            report[address] = await ask(address, ids)
        await client.ping()
        report["alive"] = quic._close_event is None
    print(json.dumps(report))


asyncio.run(main())
