"""Issue and check over HTTP/3 with aioquic. Arguments: ready line (JSON), a recipient. Prints one JSON line."""
import asyncio, json, sys
from aioquic.asyncio import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from outbox import mail_to

READY, RECIPIENT = json.loads(sys.argv[1]), sys.argv[2]


class Phone(QuicConnectionProtocol):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.h3, self.streams = H3Connection(self._quic), {}

    async def post(self, path, body):
        stream, payload = self._quic.get_next_available_stream_id(), json.dumps(body).encode()
        done = self._loop.create_future()
        self.streams[stream] = [None, b"", done]
        self.h3.send_headers(stream, [
            (b":method", b"POST"), (b":scheme", b"https"), (b":authority", READY["h3"].encode()), (b":path", path.encode()),
            (b"authorization", b"Bearer " + READY["restricted_key"].encode()), (b"origin", b"https://app.mybrand.com"),
            (b"content-type", b"application/json"), (b"content-length", str(len(payload)).encode())])
        self.h3.send_data(stream, payload, end_stream=True)
        self.transmit()
        return await asyncio.wait_for(done, 10)

    def quic_event_received(self, event):
        for heard in self.h3.handle_event(event):
            if heard.stream_id not in self.streams:
                continue
            state = self.streams[heard.stream_id]
            if isinstance(heard, HeadersReceived):
                state[0] = int(dict(heard.headers)[b":status"])
            if isinstance(heard, DataReceived):
                state[1] += heard.data
            if heard.stream_ended:
                state[2].set_result((state[0], json.loads(state[1])))


def mailed_code():
    mail = mail_to(READY, RECIPIENT)
    code = mail["subject"].split()[-1]
    assert mail.get_body(("plain",)).get_content().splitlines()[0].startswith(code)
    assert code in mail.get_body(("html",)).get_content()
    assert mail["auto-submitted"] == "auto-generated"
    return code


async def main():
    configuration = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, server_name="localhost")
    configuration.load_verify_locations(READY["ca"])
    host, port = READY["h3"].rsplit(":", 1)
    async with connect(host, int(port), configuration=configuration, create_protocol=Phone) as phone:
        status, issued = await phone.post("/v1/verifications", {"recipient": RECIPIENT, "purpose": "login"})
        assert status == 202, (status, issued)
        check = f"/v1/verifications/{issued['id']}/check"
        status, checked = await phone.post(check, {"code": mailed_code(), "recipient": RECIPIENT})
        again, _ = await phone.post(check, {"code": "000000", "recipient": RECIPIENT})
    print(json.dumps({"status": status, "valid": checked["valid"], "again": again}))


asyncio.run(main())
