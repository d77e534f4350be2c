"""The code in the mail to an address, from the server's outbox."""
import glob, time
from email import message_from_file, policy


def mail_to(ready, recipient):
    """Waits for the mail to this address."""
    for _ in range(1000):
        for path in glob.glob(ready["outbox"] + "/new/*.eml"):
            with open(path) as file:
                mail = message_from_file(file, policy=policy.default)
            if mail["to"] == recipient:
                return mail
        time.sleep(0.01)
    raise SystemExit("no mail")


def mailed_code(ready, recipient):
    return mail_to(ready, recipient)["subject"].split()[-1]
