"""Checks receipts with PyJWT and nothing but the public key set, as a backend would.

Arguments: ready line (JSON), {"set": path of the key set, "receipts": {name: receipt}} (JSON). Prints one JSON line:
for each name the claims, or the kind of error.
"""
import json, ssl, sys
import jwt

READY, ASKED = json.loads(sys.argv[1]), json.loads(sys.argv[2])
CLIENT = jwt.PyJWKClient(
    "https://127.0.0.1:" + READY["tcp"].rsplit(":", 1)[1] + ASKED["set"],
    ssl_context=ssl.create_default_context(cafile=READY["ca"]))


def judge(receipt):
    try:
        key = CLIENT.get_signing_key_from_jwt(receipt)
        return jwt.decode(receipt, key, algorithms=["EdDSA"], audience=READY["project"], issuer="authepy")
    except jwt.PyJWTError as refused:
        return type(refused).__name__


print(json.dumps({name: judge(receipt) for name, receipt in ASKED["receipts"].items()}))
