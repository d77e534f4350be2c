"""An operator's endpoint on a free loopback port. One JSON line {"port": N}, then one line per post.

    webhook_server.py SECRET ANSWER[,ANSWER…] [--cert FILE --key FILE]

Answers in turn, the last one for ever: a status (with `-and-close`: then it hangs up), `close` (reads
all, then hangs up) or `silent`. Signatures and
times are judged by the reference library of Standard Webhooks, which is not ours.
"""
import argparse
import asyncio
import json
import ssl

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


# A test that says BARRIER has heard of all before it once that is told.
def tell(**event):
    print(json.dumps(event), flush=True)


def report(secret, path, headers, body):
    try:
        Webhook(secret).verify(body, headers)
        verified = True
    except WebhookVerificationError:
        verified = False
    tell(post={
        "path": path, "verified": verified, "id": headers.get("webhook-id"),
        "type": headers.get("content-type"), "body": json.loads(body),
    })


async def serve(reader, writer, secret, answers):
    tell(connected=True)
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            if head.startswith(b"BARRIER"):
                tell(barrier=True)
                return
            first, *lines = head.decode().strip().split("\r\n")
            headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
            body = await reader.readexactly(int(headers["content-length"]))
            report(secret, first.split()[1], headers, body)
            answer = answers[0] if len(answers) == 1 else answers.pop(0)
            if answer == "silent":
                await reader.read()
                return
            if answer == "close":
                return
            status = answer.removesuffix("-and-close")
            writer.write(f"HTTP/1.1 {status} x\r\ncontent-length: 2\r\n\r\n{{}}".encode())
            await writer.drain()
            if status != answer:
                return
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except ConnectionError:
            pass
        tell(closed=True)


async def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("secret")
    arguments.add_argument("answers")
    arguments.add_argument("--cert")
    arguments.add_argument("--key")
    arguments = arguments.parse_args()
    context = None
    if arguments.cert:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(arguments.cert, arguments.key)
    answers = arguments.answers.split(",")
    handle = lambda reader, writer: serve(reader, writer, arguments.secret, answers)
    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    tell(port=server.sockets[0].getsockname()[1])
    await server.serve_forever()


asyncio.run(main())
