"""A relay of which three in ten mails meet a fault. One JSON line {"port": N}, then one for each mail it kept:

    chaos_relay.py SEED
    {"kept": {"id": …, "to": …, "code": …, "acknowledged": true}}

A fault before the final dot means that the mail was not kept; after it, the relay may have kept the mail and not
said so, or the other way round hung up without keeping it. What it says and what it keeps never contradict.
"""
import asyncio
import json
import random
import re
import sys

FAULTS = 0.3
# Each as likely as the next, but for silence, which costs the sender its whole timeout.
KINDS = [
    "refuse-mail", "defer-rcpt", "refuse-rcpt", "refuse-data", "close-at-data", "defer-after-dot", "refuse-after-dot",
    "close-after-dot", "close-kept", "garbage-kept", "hang-up",
]
SILENCE = 0.001


def tell(**event):
    print(json.dumps(event))


def pick(chance):
    roll = chance.random()
    if roll < SILENCE:
        return "silent-kept"
    return chance.choice(KINDS) if roll < FAULTS else None


def keep(lines, acknowledged):
    text = b"\n".join(lines).decode()
    field = lambda name: re.search(rf"^{name}: *(.*)$", text, re.M).group(1)
    tell(kept={
        "id": field("Message-ID"), "to": field("To"), "acknowledged": acknowledged,
        "code": re.search(r"(\d{6})\s*$", field("Subject")).group(1),
    })


async def mails(reader, writer, chance):
    def say(text):
        writer.write(text.encode() + b"\r\n")

    say("220 relay.test")
    fault = None
    while line := await reader.readline():
        verb = line[:4].upper()
        if verb == b"EHLO":
            say("250-relay.test\r\n250 PIPELINING")
        elif verb == b"MAIL":
            fault = pick(chance)
            if fault == "hang-up":
                say("421 4.3.2 going away")
                return
            say("550 5.7.1 not from you" if fault == "refuse-mail" else "250 OK")
        elif verb == b"RCPT":
            answers = {"defer-rcpt": "451 4.7.1 greylisted", "refuse-rcpt": "550 5.1.1 nobody"}
            say(answers.get(fault, "250 OK"))
        elif verb == b"DATA":
            if fault == "close-at-data":
                return
            if fault in ("refuse-mail", "defer-rcpt", "refuse-rcpt", "refuse-data"):
                say("554 5.5.1 no")
                continue
            say("354 go on")
            lines = []
            while (line := await reader.readline()) not in (b".\r\n", b""):
                lines.append(line.rstrip(b"\r\n"))
            if line == b"":
                return
            if fault in ("defer-after-dot", "refuse-after-dot"):
                say("451 4.3.0 not now" if fault == "defer-after-dot" else "554 5.7.1 never")
                continue
            if fault == "close-after-dot":
                return
            keep(lines, acknowledged=fault is None)
            if fault == "close-kept":
                return
            if fault == "silent-kept":
                await reader.read()
                return
            say("250 OK" if fault is None else "thanks!")
        else:
            say("250 OK")
        await writer.drain()


async def connection(reader, writer, chance):
    try:
        await mails(reader, writer, chance)
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main():
    chance = random.Random(int(sys.argv[1]))
    server = await asyncio.start_server(lambda r, w: connection(r, w, chance), "127.0.0.1", 0)
    tell(port=server.sockets[0].getsockname()[1])
    await server.serve_forever()


sys.stdout.reconfigure(line_buffering=True)
asyncio.run(main())
