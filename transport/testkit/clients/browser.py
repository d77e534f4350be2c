"""A headless Chromium, driven over the DevTools protocol through a pipe: no port, no library."""
import fcntl, json, os, select, shutil, subprocess, tempfile

PATIENCE_S = 60
SWITCHES = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--remote-debugging-pipe"]


class Browser:
    """One page. `said` is what the page complained of: faults nobody caught, and whatever its policy blocked."""

    def __init__(self):
        self.profile = tempfile.mkdtemp()
        theirs, ours = os.pipe(), os.pipe()
        self.into, self.out_of = theirs[1], ours[0]
        # Chromium reads 3 and writes 4: the pipes' ends are kept clear of both until then.
        reads, writes = (fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs[0], ours[1]))
        self.process = subprocess.Popen(
            ["chromium", *SWITCHES, "--user-data-dir=" + self.profile, "about:blank"], pass_fds=(3, 4),
            preexec_fn=lambda: (os.dup2(reads, 3), os.dup2(writes, 4)),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for end in (reads, writes, theirs[0], ours[1]):
            os.close(end)
        self.unread, self.last, self.session, self.on, self.said = b"", 0, None, {}, []
        self.on["Runtime.exceptionThrown"] = lambda event: self.said.append(event["exceptionDetails"])
        self.on["Log.entryAdded"] = lambda event: self.said.append(event["entry"])
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "DOM"):
            self.command(domain + ".enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    def tell(self, method, **parameters):
        """Sends a command without waiting; returns its number."""
        self.last += 1
        message = {"id": self.last, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.into, json.dumps(message).encode() + b"\0")
        return self.last

    def command(self, method, **parameters):
        """Sends a command and returns what came of it; events are handled meanwhile."""
        number = self.tell(method, **parameters)
        while True:
            message = self.message()
            if message.get("id") == number:
                if "error" in message:
                    raise SystemExit(f"{method}: {message['error']}")
                return message["result"]
            if "method" in message:
                self.on.get(message["method"], lambda _: None)(message["params"])

    def message(self):
        while b"\0" not in self.unread:
            if not select.select([self.out_of], [], [], PATIENCE_S)[0]:
                raise SystemExit("Chromium does not answer")
            heard = os.read(self.out_of, 1 << 16)
            if not heard:
                raise SystemExit("Chromium is gone")
            self.unread += heard
        text, self.unread = self.unread.split(b"\0", 1)
        return json.loads(text)

    def ask(self, script):
        """The value of a JavaScript expression in the page."""
        heard = self.command("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in heard:
            raise SystemExit(f"{script}: {heard['exceptionDetails']}")
        return heard["result"].get("value")

    def wait(self, script):
        """Waits until the expression is true; returns its value."""
        within = f"""new Promise((resolve, reject) => {{
            const end = Date.now() + {PATIENCE_S * 1000};
            const look = () => {{
                let value;
                try {{ value = {script}; }} catch {{ value = null; }}
                if (value) resolve(value);
                else if (Date.now() > end) reject(new Error("never: " + document.body.innerText));
                else setTimeout(look, 20);
            }};
            look();
        }})"""
        return self.ask(within)

    def open(self, url):
        self.command("Page.navigate", url=url)
        self.wait(f"location.href.startsWith({json.dumps(url)}) && document.readyState === 'complete'")

    def type(self, selector, text):
        """Types into a field as a person does, in place of what is there."""
        self.wait(f"document.querySelector({json.dumps(selector)})?.checkVisibility()")
        self.ask(f"(field => (field.focus(), field.select?.()))(document.querySelector({json.dumps(selector)}))")
        self.command("Input.insertText", text=text)

    def press(self, key, code):
        for kind in ("keyDown", "keyUp"):
            self.command("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code,
                         **({"text": "\r"} if key == "Enter" and kind == "keyDown" else {}))

    def enter(self):
        self.press("Enter", 13)

    def click(self, element):
        """Presses what a JavaScript expression names, once it is there and seen."""
        self.wait(f"({element})?.checkVisibility()")
        self.ask(f"({element}).click()")
