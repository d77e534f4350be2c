"""The 49 cases of kazu-yamamoto/h3spec (v0.1.13) under its titles, over the wire, each on a connection of its own.

    h3spec.py READY_LINE
    {"case": "MUST send …", "expected": ["0x5"], "got": "0x5", "passed": true}        one line for each

`got` is what ended the connection, "stream 0x…" what ended the request's stream, "status 400" an answer, or null.
The frames ride in aioquic's own packets; what no library lets one send is sealed here with its keys.
"""
import asyncio, json, os, sys
import pylsqpack
from aioquic.asyncio import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.buffer import Buffer, encode_uint_var
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted, StopSendingReceived, StreamDataReceived, StreamReset
from aioquic.tls import Epoch

READY = json.loads(sys.argv[1])
HOST, PORT = READY["h3"].rsplit(":", 1)
# Longest a case may wait for its end.
PATIENCE = 10
# A packet number beyond those that aioquic has used.
LATE = 1000


def varints(*values):
    return b"".join(encode_uint_var(value) for value in values)


def frame(kind, *values, tail=b""):
    """One frame in a packet of the connection, once the handshake is done."""
    return {"frame": (kind, varints(*values) + tail)}


def parameters(change):
    """Transport parameters, as a list of (id, bytes), changed before they leave."""
    return {"parameters": change}


def with_parameter(number, value):
    return parameters(lambda all: [pair for pair in all if pair[0] != number] + [(number, value)])


def stream(number, data, end=False):
    """Bytes on a stream of ours: 0 is the first request, 2 the first unidirectional one."""
    return {"stream": (number, data, end)}


def h3(kind, payload):
    return varints(kind, len(payload)) + payload


def request(*fields):
    block = pylsqpack.Encoder().encode(0, [(name.encode(), value.encode()) for name, value in fields])[1]
    return stream(0, h3(1, block), True)


def crypto(epoch, message):
    """A TLS message in the stream of that epoch's CRYPTO frames, before anything else of it."""
    return {"crypto": (epoch, message)}


def sealed(epoch, payload, reserved=False):
    """A packet as aioquic would not make it: these payload bytes, perhaps with reserved bits."""
    return {"sealed": (epoch, payload, reserved)}


PATHS = [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/readyz")]
SETTINGS = h3(4, b"")
TRANSPORT, FRAME, STATE, VIOLATION, LIMIT = "0x8", "0x7", "0x5", "0xa", "0x4"
UNEXPECTED, MESSAGE = "0x105", ["stream 0x10e", "status 400"]
CID = b"\x08" + bytes(range(8)) + bytes(16)
ADDRESS = bytes([127, 0, 0, 1, 0, 9]) + bytes(16) + bytes([0, 9]) + CID

CASES = [
    ("MUST send FLOW_CONTROL_ERROR if a STREAM frame with a large offset is received [Transport 4.1]", "0x3", frame(0x0E, 0, 1 << 40, 1, tail=b"x")),
    ("MUST send STREAM_LIMIT_ERROR if a stream ID exceeding the limit", LIMIT, frame(0x0A, 4 * 5000, 1, tail=b"x")),
    ("MUST send TRANSPORT_PARAMETER_ERROR if initial_source_connection_id is missing [Transport 7.3]", TRANSPORT, parameters(lambda all: [pair for pair in all if pair[0] != 0x0F])),
    ("MUST send TRANSPORT_PARAMETER_ERROR if original_destination_connection_id is received [Transport 18.2]", TRANSPORT, with_parameter(0x00, bytes(8))),
    ("MUST send TRANSPORT_PARAMETER_ERROR if preferred_address, is received [Transport 18.2]", TRANSPORT, with_parameter(0x0D, ADDRESS)),
    ("MUST send TRANSPORT_PARAMETER_ERROR if retry_source_connection_id is received [Transport 18.2]", TRANSPORT, with_parameter(0x10, bytes(8))),
    ("MUST send TRANSPORT_PARAMETER_ERROR if stateless_reset_token is received [Transport 18.2]", TRANSPORT, with_parameter(0x02, bytes(16))),
    ("MUST send TRANSPORT_PARAMETER_ERROR if max_udp_payload_size < 1200 [Transport 7.4 and 18.2]", TRANSPORT, with_parameter(0x03, varints(1199))),
    ("MUST send TRANSPORT_PARAMETER_ERROR if ack_delay_exponen > 20 [Transport 7.4 and 18.2]", TRANSPORT, with_parameter(0x0A, varints(21))),
    ("MUST send TRANSPORT_PARAMETER_ERROR if max_ack_delay >= 2^14 [Transport 7.4 and 18.2]", TRANSPORT, with_parameter(0x0B, varints(1 << 14))),
    ("MUST send FRAME_ENCODING_ERROR if a frame of unknown type is received [Transport 12.4]", FRAME, frame(0x21)),
    ("MUST send PROTOCOL_VIOLATION on no frames [Transport 12.4]", VIOLATION, sealed(Epoch.ONE_RTT, b"")),
    ("MUST send PROTOCOL_VIOLATION if reserved bits in Handshake are non-zero [Transport 17.2]", VIOLATION, sealed(Epoch.HANDSHAKE, b"\x01\x00\x00\x00", reserved=True)),
    ("MUST send PROTOCOL_VIOLATION if PATH_CHALLENGE in Handshake is received [Transport 17.2.4]", VIOLATION, sealed(Epoch.HANDSHAKE, b"\x1a" + bytes(8))),
    ("MUST send PROTOCOL_VIOLATION if reserved bits in Short are non-zero [Transport 17.2]", VIOLATION, sealed(Epoch.ONE_RTT, b"\x01\x00\x00\x00", reserved=True)),
    ("MUST send STREAM_STATE_ERROR if RESET_STREAM is received for a send-only stream [Transport 19.4]", STATE, frame(0x04, 3, 0, 0)),
    ("MUST send STREAM_STATE_ERROR if STOP_SENDING is received for a non-existing stream [Transport 19.5]", STATE, frame(0x05, 1, 0)),
    ("MUST send PROTOCOL_VIOLATION if NEW_TOKEN is received [Transport 19.7]", VIOLATION, frame(0x07, 1, tail=b"x")),
    ("MUST send STREAM_STATE_ERROR if it receives a STREAM frame for a locally-initiated stream that has not yet been created [Transport 19.8]", STATE, frame(0x0A, 1, 1, tail=b"x")),
    ("MUST send STREAM_STATE_ERROR if it receives a STREAM frame for a send-only stream [Transport 19.8]", STATE, frame(0x0A, 3, 1, tail=b"x")),
    ("MUST send STREAM_STATE_ERROR if MAX_STREAM_DATA is received for a stream that has not yet been created [Transport 19.10]", STATE, frame(0x11, 1, 100)),
    ("MUST send STREAM_STATE_ERROR if MAX_STREAM_DATA is received for a receive-only stream [Transport 19.10]", STATE, frame(0x11, 2, 100)),
    ("MUST send FRAME_ENCODING_ERROR if invalid MAX_STREAMS is received [Transport 19.11]", FRAME, frame(0x12, (1 << 60) + 1)),
    ("MUST send STREAM_LIMIT_ERROR or FRAME_ENCODING_ERROR if invalid STREAMS_BLOCKED is received [Transport 19.14]", [LIMIT, FRAME], frame(0x16, (1 << 60) + 1)),
    ("MUST send FRAME_ENCODING_ERROR if NEW_CONNECTION_ID with invalid Retire_Prior_To is received [Transport 19.15]", FRAME, frame(0x18, 10, 11, tail=CID)),
    ("MUST send FRAME_ENCODING_ERROR if NEW_CONNECTION_ID with 0-byte CID is received [Transport 19.15]", FRAME, frame(0x18, 10, 0, tail=b"\x00" + bytes(16))),
    ("MUST send PROTOCOL_VIOLATION if HANDSHAKE_DONE is received [Transport 19.20]", VIOLATION, frame(0x1E)),
    ("MUST send unexpected_message TLS alert if KeyUpdate in Handshake is received [TLS 6]", "0x10a", crypto(Epoch.HANDSHAKE, b"\x18\x00\x00\x01\x00")),
    ("MUST send unexpected_message TLS alert if KeyUpdate in 1-RTT is received [TLS 6]", "0x10a", crypto(Epoch.ONE_RTT, b"\x18\x00\x00\x01\x00")),
    ("MUST send no_application_protocol TLS alert if no application protocols are supported [TLS 8.1]", "0x178", {"alpn": ["authepy-knows-none"]}),
    ("MUST send missing_extension TLS alert if the quic_transport_parameters extension does not included [TLS 8.2]", "0x16d", {"no_extension": True}),
    ("MUST send unexpected_message TLS alert if EndOfEarlyData is received [TLS 8.3]", "0x10a", crypto(Epoch.HANDSHAKE, b"\x05\x00\x00\x00")),
    ("MUST send H3_FRAME_UNEXPECTED if DATA is received before HEADERS [HTTP/3 4.1]", UNEXPECTED, stream(0, h3(0, b"x"))),
    ("MUST send H3_MESSAGE_ERROR if a pseudo-header is duplicated [HTTP/3 4.1.1]", MESSAGE, request(*PATHS, (":path", "/readyz"))),
    ("MUST send H3_MESSAGE_ERROR if mandatory pseudo-header fields are absent [HTTP/3 4.1.3]", MESSAGE, request(*PATHS[:3])),
    ("MUST send H3_MESSAGE_ERROR if prohibited pseudo-header fields are present[HTTP/3 4.1.3]", MESSAGE, request(*PATHS, (":status", "200"))),
    ("MUST send H3_MESSAGE_ERROR if pseudo-header fields exist after fields [HTTP/3 4.1.3]", MESSAGE, request(*PATHS[:3], ("accept", "*/*"), PATHS[3])),
    ("MUST send H3_MISSING_SETTINGS if the first control frame is not SETTINGS [HTTP/3 6.2.1]", "0x10a", stream(2, b"\x00" + h3(7, b"\x00"))),
    ("MUST send H3_FRAME_UNEXPECTED if a DATA frame is received on a control stream [HTTP/3 7.2.1]", UNEXPECTED, stream(2, b"\x00" + SETTINGS + h3(0, b"x"))),
    ("MUST send H3_FRAME_UNEXPECTED if a HEADERS frame is received on a control stream [HTTP/3 7.2.2]", UNEXPECTED, stream(2, b"\x00" + SETTINGS + h3(1, b"\x00\x00"))),
    ("MUST send H3_FRAME_UNEXPECTED if a second SETTINGS frame is received [HTTP/3 7.2.4]", UNEXPECTED, stream(2, b"\x00" + SETTINGS + SETTINGS)),
    ("MUST send H3_SETTINGS_ERROR if HTTP/2 settings are included [HTTP/3 7.2.4.1]", "0x109", stream(2, b"\x00" + h3(4, varints(2, 0)))),
    ("MUST send H3_FRAME_UNEXPECTED if CANCEL_PUSH is received in a request stream [HTTP/3 7.2.5]", UNEXPECTED, stream(0, h3(3, b"\x00"))),
    ("MUST send QPACK_DECOMPRESSION_FAILED if an invalid static table index exits in a field line representation [QPACK 3.1]", "0x200", stream(0, h3(1, b"\x00\x00\xff\x24"))),
    ("MUST send QPACK_ENCODER_STREAM_ERROR if a new dynamic table capacity value exceeds the limit [QPACK 4.1.3]", "0x201", stream(2, b"\x02\x3f\xe1\x7f")),
    ("MUST send H3_CLOSED_CRITICAL_STREAM if a control stream is closed [QPACK 4.2]", "0x104", stream(2, b"\x00" + SETTINGS, True)),
    ("MUST send QPACK_DECODER_STREAM_ERROR if Insert Count Increment is 0 [QPACK 4.4.3]", "0x202", stream(2, b"\x03\x00")),
]


def read_parameters(data):
    buf, all = Buffer(data=data), []
    while not buf.eof():
        number = buf.pull_uint_var()
        all.append((number, buf.pull_bytes(buf.pull_uint_var())))
    return all


class Peer(QuicConnectionProtocol):
    """A client that does one thing wrong."""

    def __init__(self, quic, *args, wrong, **kwargs):
        super().__init__(quic, *args, **kwargs)
        self.wrong, self.over, self.done = wrong, asyncio.get_running_loop().create_future(), False
        if change := wrong.get("parameters"):
            whole = quic._serialize_transport_parameters
            quic._serialize_transport_parameters = lambda: b"".join(
                varints(number, len(value)) + value for number, value in change(read_parameters(whole())))
        if wrong.get("no_extension"):
            begin = quic._initialize

            def initialize(peer_cid):
                begin(peer_cid)
                quic.tls.handshake_extensions = []
            quic._initialize = initialize
        limits, sends = quic._write_connection_limits, quic.datagrams_to_send

        def write(builder, space):
            if "frame" in wrong and not self.done and quic._handshake_confirmed:
                self.done = True
                kind, rest = wrong["frame"]
                builder.start_frame(kind, capacity=len(rest) + 8).push_bytes(rest)
            limits(builder=builder, space=space)

        def datagrams(now):
            self.misbehave()
            early = [(self.seal(), quic._network_paths[0].addr)] if self.may_seal() else []
            return early + sends(now=now)

        quic._write_connection_limits, quic.datagrams_to_send = write, datagrams

    def has_keys(self, epoch):
        pair = self._quic._cryptos.get(epoch)
        return pair is not None and pair.send.is_valid()

    def misbehave(self):
        quic = self._quic
        if "crypto" in self.wrong and not self.done and self.has_keys(self.wrong["crypto"][0]):
            epoch, message = self.wrong["crypto"]
            if epoch == Epoch.ONE_RTT and not quic._handshake_confirmed:
                return
            self.done = True
            sender = quic._crypto_streams[epoch].sender
            rest = bytes(sender._buffer)
            sender._buffer.clear()
            sender._buffer_stop = sender._buffer_start
            sender._pending.subtract(0, 1 << 20)
            sender.write(message + rest)

    def may_seal(self):
        epoch = self.wrong.get("sealed", [None])[0]
        return epoch is not None and not self.done and self.has_keys(epoch) and (
            epoch == Epoch.HANDSHAKE or self._quic._handshake_confirmed)

    def seal(self):
        self.done = True
        quic, (epoch, payload, reserved) = self._quic, self.wrong["sealed"]
        number, bits = LATE.to_bytes(4, "big"), 0x0C if reserved and epoch == Epoch.HANDSHAKE else 0x18 if reserved else 0
        if epoch == Epoch.ONE_RTT:
            head = bytes([0x43 | bits]) + quic._peer_cid.cid + number
        else:
            names = b"".join(bytes([len(cid)]) + cid for cid in (quic._peer_cid.cid, quic.host_cid))
            length = (0x4000 | (4 + len(payload) + 16)).to_bytes(2, "big")
            head = bytes([0xE3 | bits]) + quic._version.to_bytes(4, "big") + names + length + number
        return quic._cryptos[epoch].encrypt_packet(head, payload, LATE)

    def quic_event_received(self, event):
        if isinstance(event, HandshakeCompleted) and "stream" in self.wrong:
            number, data, end = self.wrong["stream"]
            self._quic._get_or_create_stream_for_send(number)
            self._quic.send_stream_data(number, data, end)
            self.transmit()
        elif isinstance(event, ConnectionTerminated):
            self.end(hex(event.error_code))
        elif isinstance(event, (StreamReset, StopSendingReceived)) and event.stream_id == 0:
            self.end(f"stream {event.error_code:#x}")
        elif isinstance(event, StreamDataReceived) and event.stream_id == 0 and event.data:
            buf = Buffer(data=event.data)
            if buf.pull_uint_var() == 1:
                block = buf.pull_bytes(buf.pull_uint_var())
                fields = dict(pylsqpack.Decoder(0, 0).feed_header(0, block)[1])
                self.end("status " + fields[b":status"].decode())

    def end(self, how):
        if not self.over.done():
            self.over.set_result(how)


async def play(wrong):
    configuration = QuicConfiguration(is_client=True, alpn_protocols=wrong.get("alpn", ["h3"]), server_name="localhost")
    configuration.load_verify_locations(READY["ca"])
    peers = []

    def make(*args, **kwargs):
        peers.append(Peer(*args, wrong=wrong, **kwargs))
        return peers[-1]

    async def until_over():
        async with connect(HOST, int(PORT), configuration=configuration, create_protocol=make, wait_connected=False) as peer:
            while not peer.over.done():
                peer.transmit()
                await asyncio.wait({peer.over}, timeout=0.05)
            return peer.over.result()
    try:
        return await asyncio.wait_for(until_over(), PATIENCE)
    except (TimeoutError, ConnectionError):
        over = peers[0].over if peers else None
        return over.result() if over and over.done() else None


async def main():
    for title, expected, wrong in CASES:
        expected = expected if isinstance(expected, list) else [expected]
        got = await play(wrong)
        print(json.dumps({"case": title, "expected": expected, "got": got, "passed": got in expected}), flush=True)


asyncio.run(main())
