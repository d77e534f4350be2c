"""One QUIC connection that sends a hundred thousand frames of one kind, as no client does.

    quic_storm.py READY_LINE KIND COUNT
    {"sent": 100000, "closed": 10, "why": …}        what closed the connection, or null

Kinds: see FRAMES. The frames ride in aioquic's own packets, so they are acknowledged and paced like any other's.
"""
import asyncio, json, os, sys
from aioquic.asyncio import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnectionId
from aioquic.quic.events import ConnectionTerminated

READY, KIND, COUNT = json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3])
# Room in the packet that the largest frame needs.
ROOM = 48


def varints(*values):
    return lambda buf: [buf.push_uint_var(value) for value in values]


def new_connection_id(n, quic):
    """Each asks for all before it to be retired (RFC 9000, 19.15)."""
    number = quic._host_cid_seq + n
    name = QuicConnectionId(cid=os.urandom(8), sequence_number=number, was_sent=True)
    # Else it would not hear what is sent there.
    quic._host_cids.append(name)

    def write(buf):
        varints(number, number)(buf)
        buf.push_uint8(8)
        buf.push_bytes(name.cid + os.urandom(16))
    return 0x18, write


def path_challenge(n, _):
    return 0x1A, lambda buf: buf.push_bytes(os.urandom(8))


def stream_gap(n, _):
    """One byte of stream 0 at every second place of its window (RUSTSEC-2026-0185)."""
    def write(buf):
        varints(0, 1 + 2 * (n % 16000), 1)(buf)
        buf.push_bytes(b"x")
    return 0x0E, write


def crypto_gap(n, _):
    def write(buf):
        varints(1 + 2 * (n % 16000), 1)(buf)
        buf.push_bytes(b"x")
    return 0x06, write


FRAMES = {
    "new-connection-id": new_connection_id,
    # The first is ours to retire, then whatever came for it, and so on.
    "retire-connection-id": lambda n, _: (0x19, varints(n)),
    "path-challenge": path_challenge,
    # Packets that were never sent (RFC 9000, 13.1): a server that believed it would send faster and faster.
    "ack-of-unsent": lambda n, _: (0x02, varints(1 << 30, 0, 0, 0)),
    "stream-gap": stream_gap,
    "crypto-gap": crypto_gap,
    "max-data": lambda n, _: (0x10, varints(n + (1 << 40))),
    "streams-blocked": lambda n, _: (0x16, varints(n)),
    "data-blocked": lambda n, _: (0x14, varints(n)),
    "stop-sending": lambda n, _: (0x05, varints(4 * (n % 64), 0x10C)),
}


class Storm(QuicConnectionProtocol):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.sent, self.blows, self.over = 0, False, asyncio.get_running_loop().create_future()
        limits = self._quic._write_connection_limits

        def write(builder, space):
            limits(builder=builder, space=space)
            while self.blows and self.sent < COUNT and builder.remaining_flight_space > ROOM:
                kind, fill = FRAMES[KIND](self.sent, self._quic)
                fill(builder.start_frame(kind, capacity=ROOM))
                self.sent += 1

        self._quic._write_connection_limits = write
        # What is retired is not replaced: the storm does that.
        self._quic._replenish_connection_ids = lambda *_: None

    def quic_event_received(self, event):
        if isinstance(event, ConnectionTerminated) and not self.over.done():
            self.over.set_result((event.error_code, event.reason_phrase))


async def main():
    configuration = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, server_name="localhost")
    configuration.load_verify_locations(READY["ca"])
    host, port = READY["h3"].rsplit(":", 1)
    async with connect(host, int(port), configuration=configuration, create_protocol=Storm) as storm:
        storm.blows = True
        while storm.sent < COUNT and not storm.over.done():
            storm.transmit()
            await asyncio.sleep(0)
        # What it was answered with, if with anything.
        closed = (await asyncio.wait({storm.over}, timeout=1))[0]
        code, why = storm.over.result() if closed else (None, None)
        print(json.dumps({"sent": storm.sent, "closed": code, "why": why}), flush=True)


asyncio.run(main())
