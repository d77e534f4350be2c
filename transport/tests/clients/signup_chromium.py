"""Issue and check from a page in headless Chromium, forced to QUIC. Arguments: ready line (JSON), a recipient.

The page comes from http://localhost (a listed origin), calls the server at 127.0.0.1, and reports here.
Chromium is told to speak QUIC to that address; the server's TCP counter shows that it did not use TCP.
"""
import base64, glob, hashlib, http.server, json, shutil, ssl, subprocess, sys, tempfile, threading, time
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

READY, RECIPIENT = json.loads(sys.argv[1]), sys.argv[2]
RESULT = threading.Event()
REPORT = {}
PAGE = """<!doctype html><script>
const base = "https://%s", key = "%s", recipient = "%s";
const post = async (path, body) => {
  const answer = await fetch(base + path, {method: "POST", body: JSON.stringify(body),
    headers: {"Authorization": "Bearer " + key, "Content-Type": "application/json"}});
  return [answer.status, await answer.json()];
};
(async () => {
  try {
    const [issueStatus, issued] = await post("/v1/verifications", {recipient});
    if (issueStatus !== 202) throw new Error("issue " + issueStatus);
    const code = await (await fetch("/code")).text();
    const path = "/v1/verifications/" + issued.id + "/check";
    const [status, checked] = await post(path, {code});
    const [again] = await post(path, {code});
    await fetch("/report", {method: "POST", body: JSON.stringify({status, valid: checked.valid, again})});
  } catch (fault) {
    await fetch("/report", {method: "POST", body: JSON.stringify({fault: String(fault)})});
  }
})();
</script>""" % (READY["h3"], READY["restricted_key"], RECIPIENT)


def mailed_code():
    for _ in range(500):
        for path in glob.glob(READY["outbox"] + "/new/*.eml"):
            text = open(path).read()
            if RECIPIENT in text:
                return next(line for line in text.splitlines() if line.startswith("Subject: ")).split()[-1]
        time.sleep(0.01)
    return ""


class Site(http.server.BaseHTTPRequestHandler):
    def answer(self, text, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(text.encode())

    def do_GET(self):
        self.answer(mailed_code(), "text/plain") if self.path == "/code" else self.answer(PAGE, "text/html")

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
browser = subprocess.Popen(
    ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
     "--disable-component-update", "--disable-sync", "--user-data-dir=" + profile, "--enable-quic",
     "--origin-to-force-quic-on=" + READY["h3"], "--ignore-certificate-errors-spki-list=" + public_key_hash(),
     "--remote-debugging-port=0", f"http://localhost:{site.server_port}/"],
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
try:
    if not RESULT.wait(60):
        REPORT["fault"] = "the page never reported"
finally:
    browser.kill()
    browser.wait()
    shutil.rmtree(profile, ignore_errors=True)
print(json.dumps(REPORT))
