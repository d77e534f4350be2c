"""A relay with a script, on a free loopback port. One JSON line {"port": N}, then one line per event.

    smtp_server.py MODE [--cert FILE --key FILE]

Polite modes run on aiosmtpd, an implementation that is not ours: ok, utf8, refuse-rcpt, defer-rcpt,
refuse-data, stall-tarpits, starttls, implicit, login, slow:SECONDS (before it answers to a mail). Hostile ones are spoken by hand below: see HOSTILE.
Every mail is reported as {"mail": …} with what Python's `email` package finds in it.
"""
import argparse
import asyncio
import email
import email.policy
import json
import ssl

from aiosmtpd.smtp import SMTP, AuthResult


def tell(**event):
    print(json.dumps(event), flush=True)


def report(sender, recipients, options, raw):
    message = email.message_from_bytes(raw, policy=email.policy.SMTPUTF8)
    part = lambda kind: message.get_body((kind,)).get_content()
    tell(mail={
        "from": sender, "to": recipients, "options": options,
        "headers": {name.lower(): str(value) for name, value in message.items()},
        "type": message.get_content_type(), "defects": len(message.defects),
        "text": part("plain"), "html": part("html"),
        "raw": raw.decode("utf-8", "surrogateescape"),
    })


class Handler:
    def __init__(self, mode):
        self.mode = mode

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.mode == "refuse-rcpt":
            tell(refused=True)
            return "550 5.1.1 no such user " + address
        if self.mode == "stall-tarpits" and "@tarpit" in address:
            # As a relay does that asks the recipient's host before it answers.
            tell(stalled=True)
            await asyncio.sleep(3600)
        if self.mode == "defer-rcpt":
            return "451 4.7.1 greylisted " + address
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.mode == "refuse-data":
            return "554 5.7.1 no"
        report(envelope.mail_from, envelope.rcpt_tos, envelope.mail_options, envelope.content)
        if self.mode.startswith("slow:"):
            await asyncio.sleep(float(self.mode.removeprefix("slow:")))
        return "250 OK"


def login(server, session, envelope, mechanism, data):
    known = (data.login, data.password) == (b"ada", b"p:w")
    return AuthResult(success=known, handled=False)


def polite(mode, context):
    def factory():
        tell(connected=True)
        return SMTP(
            Handler(mode), enable_SMTPUTF8=mode == "utf8", hostname="relay.test",
            tls_context=context if mode in ("starttls", "login") else None,
            require_starttls=mode in ("starttls", "login"), auth_required=mode == "login",
            authenticator=login, timeout=60,
        )
    return factory


async def dialogue(reader, writer, mode):
    """A relay that goes wrong at one place."""
    async def say(text):
        writer.write(text.encode() + b"\r\n")
        await writer.drain()

    if mode == "silent":
        await reader.read()
        return
    if mode == "banner-flood":
        while True:
            writer.write(b"220-" + b"x" * 65536)
            await writer.drain()
    if mode == "not-smtp":
        await say("HTTP/1.1 400 Bad Request")
        return
    await say("220 relay.test")
    while line := await reader.readline():
        verb = line.split()[0].upper()
        if verb == b"EHLO":
            await say("250-relay.test\r\n250 STARTTLS" if mode == "inject" else "250 relay.test")
        elif verb == b"STARTTLS":
            await say("220 go ahead\r\n250-relay.test\r\n250 AUTH PLAIN")
            tell(after_starttls=(await reader.read(1)).hex())
            return
        elif verb == b"DATA":
            if mode == "close-at-data":
                return
            await say("354 go on")
            if mode == "close-mid-data":
                await reader.read(10)
                return
            if mode == "stall-mid-data":
                # Never reads on; what was sent waits in the socket's buffers, the dot with it.
                await asyncio.sleep(3600)
            while (line := await reader.readline()) not in (b".\r\n", b""):
                pass
            tell(dot=line == b".\r\n")
            if mode == "close-after-dot":
                return
            if mode == "silent-after-dot":
                await reader.read()
                return
            if mode == "garbage-after-dot":
                await say("thanks!")
                return
            if mode == "defer-after-dot":
                await say("451 4.3.0 not now")
                continue
            await say("250 OK")
            if mode == "hang-up-idle":
                return
        else:
            if mode == "trickle" and verb == b"MAIL":
                for byte in b"250 O" + b"K" * 3600:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(0.05)
            await say("250 OK")


async def pipelined(reader, writer, mode):
    """A relay that takes commands in groups, and tells how many came in one segment."""
    writer.write(b"220 relay.test\r\n")
    body = None
    while data := await reader.read(65536):
        if body is not None:
            # A mail comes in as many segments as it likes.
            body += data
            if body.endswith(b"\r\n.\r\n"):
                body = None
                tell(dot=True)
                writer.write(b"250 OK\r\n")
            continue
        lines = data.split(b"\r\n")[:-1]
        verbs = [line[:4].upper() for line in lines]
        if verbs[0] == b"EHLO":
            writer.write(b"250-relay.test\r\n250 PIPELINING\r\n")
        elif verbs == [b"MAIL", b"RCPT", b"DATA"]:
            tell(group=len(verbs))
            refuses = mode != "pipelining"
            writer.write(b"250 OK\r\n" + (b"550 no such user\r\n" if refuses else b"250 OK\r\n"))
            # RFC 2920, 3.1 lets a relay say 354 although it refused every recipient.
            writer.write(b"503 no recipients\r\n" if mode == "pipelining-refuse" else b"354 go on\r\n")
            body = None if mode == "pipelining-refuse" else b""
        else:
            writer.write(b"500 one group, please\r\n")


async def hostile(reader, writer, mode):
    tell(connected=True)
    try:
        await (pipelined if mode.startswith("pipelining") else dialogue)(reader, writer, mode)
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        tell(closed=True)
        writer.close()


async def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("mode")
    arguments.add_argument("--cert")
    arguments.add_argument("--key")
    arguments = arguments.parse_args()
    context = None
    if arguments.cert:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(arguments.cert, arguments.key)
    if arguments.mode.split(":")[0] in POLITE:
        loop = asyncio.get_running_loop()
        implicit = context if arguments.mode == "implicit" else None
        server = await loop.create_server(polite(arguments.mode, context), "127.0.0.1", 0, ssl=implicit)
    else:
        assert arguments.mode in HOSTILE, arguments.mode
        serve = lambda reader, writer: hostile(reader, writer, arguments.mode)
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
    tell(port=server.sockets[0].getsockname()[1])
    await server.serve_forever()


POLITE = {
    "ok", "utf8", "refuse-rcpt", "defer-rcpt", "refuse-data", "stall-tarpits", "starttls", "implicit", "login", "slow",
}
HOSTILE = {
    "silent", "banner-flood", "not-smtp", "inject", "no-starttls", "trickle", "close-at-data", "close-mid-data",
    "stall-mid-data", "close-after-dot", "silent-after-dot", "garbage-after-dot", "defer-after-dot", "hang-up-idle",
    "pipelining", "pipelining-refuse", "pipelining-354",
}
asyncio.run(main())
