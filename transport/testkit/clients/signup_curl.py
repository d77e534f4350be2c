"""Issue and check over HTTP/3 with libcurl (curl_cffi). Arguments: ready line (JSON), a recipient."""
import json, sys
from curl_cffi import CurlHttpVersion, requests
from outbox import mailed_code

READY, RECIPIENT = json.loads(sys.argv[1]), sys.argv[2]
BASE = "https://localhost:" + READY["h3"].rsplit(":", 1)[1]


def post(path, body):
    answer = requests.post(BASE + path, json=body, verify=READY["ca"], http_version=CurlHttpVersion.V3ONLY, timeout=10,
                           headers={"Authorization": "Bearer " + READY["secret_key"]})
    assert answer.http_version == CurlHttpVersion.V3, answer.http_version
    return answer.status_code, answer.json()


status, issued = post("/v1/verifications", {"recipient": RECIPIENT})
assert status == 202, (status, issued)
status, checked = post(f"/v1/verifications/{issued['id']}/check", {"code": mailed_code(READY, RECIPIENT)})
again, _ = post(f"/v1/verifications/{issued['id']}/check", {"code": "000000"})
print(json.dumps({"status": status, "valid": checked["valid"], "again": again}))
