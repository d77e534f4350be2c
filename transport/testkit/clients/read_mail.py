"""What a mail program finds in these files: one JSON line for each, by Python's `email` package.

    read_mail.py FILE…
"""
import email
import email.policy
import json
import sys

for path in sys.argv[1:]:
    with open(path, "rb") as file:
        raw = file.read()
    message = email.message_from_bytes(raw, policy=email.policy.SMTPUTF8)
    part = lambda kind: message.get_body((kind,)).get_content().replace("\r\n", "\n")
    print(json.dumps({
        "subject": message["subject"], "to": message["to"], "language": message["content-language"],
        "headers": message.keys(), "type": message.get_content_type(), "parts": len(list(message.iter_parts())),
        "defects": len(message.defects), "text": part("plain"), "html": part("html"),
        "head": raw.split(b"\r\n\r\n")[0].decode(),
    }))
