"""Issue and check over HTTP/3 with libcurl (curl_cffi). Arguments: ready line (JSON), a recipient."""
import glob, json, sys, time
from curl_cffi import CurlHttpVersion, requests

READY, RECIPIENT = json.loads(sys.argv[1]), sys.argv[2]
BASE = "https://localhost:" + READY["h3"].rsplit(":", 1)[1]


def post(path, body):
    answer = requests.post(BASE + path, json=body, verify=READY["ca"], http_version=CurlHttpVersion.V3ONLY, timeout=10,
                           headers={"Authorization": "Bearer " + READY["secret_key"]})
    assert answer.http_version == CurlHttpVersion.V3, answer.http_version
    return answer.status_code, answer.json()


def mailed_code():
    for _ in range(500):
        for path in glob.glob(READY["outbox"] + "/new/*.eml"):
            text = open(path).read()
            if RECIPIENT in text:
                return next(line for line in text.splitlines() if line.startswith("Subject: ")).split()[-1]
        time.sleep(0.01)
    raise SystemExit("no mail")


status, issued = post("/v1/verifications", {"recipient": RECIPIENT})
assert status == 202, (status, issued)
status, checked = post(f"/v1/verifications/{issued['id']}/check", {"code": mailed_code()})
again, _ = post(f"/v1/verifications/{issued['id']}/check", {"code": "000000"})
print(json.dumps({"status": status, "valid": checked["valid"], "again": again}))
