"""Issue and check from a page in headless Chromium.

Arguments: ready line (JSON), a recipient, the page's host, `quic` or `tcp`. Prints one JSON line: what the
page could do and read, or the fault it met.

The page comes from http://HOST, calls the server at 127.0.0.1, and reports here. Chromium resolves every
name below localhost to the loopback. The server's connection counters show which protocol it used.
"""
import base64, hashlib, http.server, json, shutil, ssl, subprocess, sys, tempfile, threading
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from outbox import mailed_code

READY, RECIPIENT, HOST, WIRE = json.loads(sys.argv[1]), *sys.argv[2:5]
RESULT = threading.Event()
REPORT = {}
PAGE = """<!doctype html><script>
const base = "https://%s", key = "%s", recipient = "%s";
const post = async (path, body) => {
  const answer = await fetch(base + path, {method: "POST", body: JSON.stringify(body),
    headers: {"Authorization": "Bearer " + key, "Content-Type": "application/json"}});
  return [answer.status, await answer.json(), name => answer.headers.get(name)];
};
(async () => {
  try {
    const [issueStatus, issued, field] = await post("/v1/verifications", {recipient});
    if (issueStatus !== 202) throw new Error("issue " + issueStatus);
    const located = field("Location") === "/v1/verifications/" + issued.id;
    const identified = String(field("X-Request-Id")).startsWith("req_");
    const kept = field("X-Content-Type-Options");
    const code = await (await fetch("/code")).text();
    const path = "/v1/verifications/" + issued.id + "/check";
    const [status, checked] = await post(path, {code, recipient});
    const [again] = await post(path, {code, recipient});
    const [limited, , limitedField] = await post("/v1/verifications", {recipient});
    const wait = Number(limitedField("Retry-After"));
    await fetch("/report", {method: "POST", body: JSON.stringify(
      {status, valid: checked.valid, again, located, identified, kept, limited, waits: wait > 0})});
  } catch (fault) {
    await fetch("/report", {method: "POST", body: JSON.stringify({fault: String(fault)})});
  }
})();
</script>""" % (READY["h3"], READY["restricted_key"], RECIPIENT)


class Site(http.server.BaseHTTPRequestHandler):
    def answer(self, text, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(text.encode())

    def do_GET(self):
        if self.path == "/code":
            self.answer(mailed_code(READY, RECIPIENT), "text/plain")
        else:
            self.answer(PAGE, "text/html")

    def do_POST(self):
        REPORT.update(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.answer("", "text/plain")
        RESULT.set()

    def log_message(self, *_):
        pass


def public_key_hash():
    """The server's key as Chromium's certificate exception wants it, read over TCP."""
    host, port = READY["tcp"].rsplit(":", 1)
    certificate = x509.load_pem_x509_certificate(ssl.get_server_certificate((host, int(port))).encode())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(key).digest()).decode()


site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
threading.Thread(target=site.serve_forever, daemon=True).start()
profile = tempfile.mkdtemp()
protocol = {"quic": ["--enable-quic", "--origin-to-force-quic-on=" + READY["h3"]], "tcp": ["--disable-quic"]}
browser = subprocess.Popen(
    ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
     "--disable-component-update", "--disable-sync", "--user-data-dir=" + profile, *protocol[WIRE],
     "--ignore-certificate-errors-spki-list=" + public_key_hash(), "--remote-debugging-port=0",
     f"http://{HOST}:{site.server_port}/"],
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
try:
    if not RESULT.wait(60):
        REPORT["fault"] = "the page never reported"
finally:
    browser.kill()
    browser.wait()
    shutil.rmtree(profile, ignore_errors=True)
print(json.dumps(REPORT))
