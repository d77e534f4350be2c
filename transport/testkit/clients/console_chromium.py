"""An operator at the console, in headless Chromium. Arguments: the ready line (JSON), a scene's name.

Prints one JSON line: what was seen. Every scene also tells what the page complained of, which is nothing.
"""
import base64, json, ssl, sys, time, urllib.error, urllib.request
from browser import PATIENCE_S, Browser

READY = json.loads(sys.argv[1])
TOKEN = READY["admin_token"]
HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


def sign_in(page, token=TOKEN):
    page.open(READY["admin"] + "/")
    page.type("#token", token)
    page.enter()


def button(label):
    return f"[...document.querySelectorAll('button')].find(b => b.ariaLabel?.startsWith({json.dumps(label)}))"


def said(page, text):
    """Waits until the page tells this."""
    return page.wait(f"(t => t.includes({json.dumps(text)}) && t)(document.querySelector('#said').textContent)")


def fact(name):
    """What the status says under this name."""
    return ("[...document.querySelectorAll('#view-status dl > div')]"
            f".find(fact => fact.children[0].textContent.startsWith({json.dumps(name)}))?.children[1].textContent")


def issue(key, **headers):
    """The status of an issue with this key, over TCP."""
    request = urllib.request.Request(f"https://localhost:{READY['tcp'].rsplit(':', 1)[1]}/v1/verifications",
                                     json.dumps({"recipient": "ada@example.com"}).encode(),
                                     {"Authorization": "Bearer " + key, "Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=READY["ca"])) as answer:
            return answer.status
    except urllib.error.HTTPError as fault:
        return fault.code


def key_shown(page):
    """The key that the page shows once, and that it is gone from the page afterwards."""
    key = page.wait("document.querySelector('#made[open] #made-key')?.value")
    page.press("Escape", 27)
    still = page.ask("document.querySelector('#made').open")
    page.click("document.querySelector('#made-done')")
    page.wait("!document.querySelector('#made').open")
    return key, still and not page.ask(f"{EVERYTHING}.includes({json.dumps(key)})")


# All that a page can keep or show, the values of fields included.
EVERYTHING = """[document.documentElement.outerHTML, location.href, document.cookie, JSON.stringify(localStorage),
    JSON.stringify(sessionStorage), JSON.stringify(history.state), window.name,
    ...[...document.querySelectorAll('input, textarea')].map(field => field.value)].join(' ')"""


def keys(page):
    """A project, a key of it, its successor; each works until it is revoked."""
    sign_in(page)
    seen = {"ready": page.wait("document.querySelector('#readiness').textContent === 'Ready'"),
            "kept": page.ask(f"{EVERYTHING}.includes({json.dumps(TOKEN)})")}
    page.click("document.querySelector('nav a[href=\"#projects\"]')")
    page.click("document.querySelector('#view-projects summary')")
    page.type("#project-name", "shop")
    page.enter()
    said(page, "shop")
    page.click("[...document.querySelectorAll('#view-projects td a')].find(a => a.ariaLabel === 'Keys of shop')")
    page.wait("document.querySelector('#key-project')?.value === 'shop'")
    page.click("document.querySelector('#view-keys summary')")
    page.click("document.querySelector('#new-key input[value=secret]')")
    page.click("document.querySelector('#new-key button')")
    key, seen["once"] = key_shown(page)
    seen["works"] = issue(key)
    page.click(button("Rotate secret live"))
    page.type("#grace", "1h")
    page.enter()
    successor, _ = key_shown(page)
    seen["both"] = [issue(key), issue(successor)]
    page.wait("[...document.querySelectorAll('#view-keys .chip')].some(c => c.textContent === 'rotating')")
    label = f"Revoke secret live key …{key[-4:]}"
    page.click(button(label))
    page.click("document.querySelector('#confirm[open] .back')")
    seen["kept_back"] = issue(key)
    page.click(button(label))
    page.click("document.querySelector('#confirm[open] .danger')")
    said(page, "was revoked")
    seen["revoked"] = [issue(key), issue(successor)]
    page.wait("[...document.querySelectorAll('#view-keys .chip')].some(c => c.textContent === 'revoked')")
    page.click("document.querySelector('nav a[href=\"#status\"]')")
    # Five were issued. What happens from here on shows without a hand being moved.
    seen["issued"] = page.wait(f"{fact('Live codes')} === '5' && {fact('Accepted')}")
    seen["exposed"] = [page.ask(fact("Exposed")), issue(successor, Origin="https://mybrand.com")]
    seen["exposed"].append(page.wait(f"{fact('Live codes')} === '6' && {fact('Exposed')}"))
    page.wait(f"{fact('Memory')} !== '0 B'")
    page.click("document.querySelector('#sign-out')")
    page.wait("!document.querySelector('#door').hidden")
    seen["left"] = page.ask("!document.querySelector('.workspace') && !document.body.textContent.includes('…')")
    return seen


def rest(page):
    """Origins, bans and the catalog; refusals in the API's own words."""
    sign_in(page)
    page.click("document.querySelector('nav a[href=\"#keys\"]')")
    page.click(button("Origins restricted live"))
    page.type("#rule", "*.com")
    page.enter()
    seen = {"refused": page.wait("document.querySelector('#origins .fault:not([hidden])')?.textContent")}
    page.type("#rule", "Shop.Example")
    page.enter()
    rules = "[...document.querySelectorAll('#origins li code')].map(rule => rule.textContent)"
    page.wait(f"{rules}.includes('shop.example')")
    page.click(button("Remove mybrand.com"))
    page.wait(f"!{rules}.includes('mybrand.com')")
    seen["rules"] = page.ask(rules)
    page.press("Escape", 27)
    page.wait("!document.querySelector('#origins').open")
    page.click("document.querySelector('nav a[href=\"#bans\"]')")
    page.wait("document.querySelector('#view-bans .empty').textContent === 'Nobody is banned.'")
    page.click("document.querySelector('#view-bans summary')")
    page.type("#ban-peer", "2001:db8::9")
    page.type("#ban-span", "2h")
    page.enter()
    seen["banned"] = said(page, "is banned for")
    page.click(button("Lift the ban of 2001:db8::/64"))
    said(page, "was lifted")
    page.wait("document.querySelector('#view-bans .empty').textContent === 'Nobody is banned.'")
    page.click("document.querySelector('nav a[href=\"#catalog\"]')")
    page.type("#domain", "x.mailinator.com")
    page.enter()
    seen["verdict"] = page.wait("document.querySelector('#verdict').textContent")
    page.type("#domain", "a b")
    page.enter()
    seen["no_domain"] = page.wait("document.querySelector('#look-up .fault:not([hidden])')?.textContent")
    return seen


def strangers(page):
    """Whoever has not the admin token sees why, and no more."""
    seen = {}
    for name, token in {"wrong": TOKEN[:-1] + "g", "key": READY["secret_key"], "no_header": "né"}.items():
        sign_in(page, token)
        seen[name] = page.wait("document.querySelector('#sign-in .fault:not([hidden])')?.textContent")
        assert page.ask("!document.querySelector('.workspace')")
    # Chromium itself logs every 4xx; nothing else may be there.
    page.said = [entry for entry in page.said if entry.get("source") != "network"]
    return seen


def hostile(page):
    """Every text of the API's answers is markup; the page shows it and runs none of it."""
    def poison(value):
        if isinstance(value, dict):
            return {name: poison(member) for name, member in value.items()}
        if isinstance(value, list):
            return [poison(member) for member in value]
        return HOSTILE if isinstance(value, str) and value not in ("restricted", "active") else value

    def paused(event):
        if "responseStatusCode" not in event or event["request"]["method"] == "OPTIONS":
            return page.tell("Fetch.continueRequest", requestId=event["requestId"])
        waiting.append(event["requestId"])

    def serve():
        while waiting:
            request = waiting.pop()
            body = page.command("Fetch.getResponseBody", requestId=request)
            text = base64.b64decode(body["body"]) if body["base64Encoded"] else body["body"]
            told = poison(json.loads(text))
            # What the catalog's section asks for is refused, in hostile words.
            status = 200 if set(told) != {"version", "entries"} else 422
            told = told if status == 200 else {"title": HOSTILE, "detail": HOSTILE}
            page.command("Fetch.fulfillRequest", requestId=request, responseCode=status,
                         body=base64.b64encode(json.dumps(told).encode()).decode(),
                         responseHeaders=[{"name": "Content-Type", "value": "application/json"}])

    def see(selector):
        """Waits until this shows the text; answers held-back requests meanwhile."""
        end = time.monotonic() + PATIENCE_S
        while not page.ask(f"[...document.querySelectorAll({json.dumps(selector)})].some("
                           f"e => e.checkVisibility() && e.textContent.includes({json.dumps(HOSTILE)}))"):
            assert time.monotonic() < end, selector
            serve()
        seen.append(selector)

    waiting, seen = [], []
    page.on["Fetch.requestPaused"] = paused
    page.command("Fetch.enable", patterns=[{"urlPattern": "*/admin/v1/*", "requestStage": "Response"}])
    sign_in(page)
    see("#running")
    see("#store dd")
    page.click("document.querySelector('nav a[href=\"#projects\"]')")
    see("#view-projects td strong")
    page.click("document.querySelector('nav a[href=\"#keys\"]')")
    see("#view-keys td small")
    see("#view-keys td code")
    page.click(button("Origins"))
    see("#origins .rules code")
    see("#origins .which")
    page.press("Escape", 27)
    page.click("document.querySelector('nav a[href=\"#catalog\"]')")
    see("#view-catalog > .fault")
    page.said = [entry for entry in page.said if entry.get("source") != "network"]
    made = "document.querySelectorAll('img, script:not([src])').length"
    return {"seen": len(seen), "made": page.ask(made), "owned": page.ask("document.title.includes('owned')")}


with Browser() as page:
    report = {"keys": keys, "rest": rest, "strangers": strangers, "hostile": hostile}[sys.argv[2]](page)
    report["complaints"] = [complaint.get("text") for complaint in page.said]
print(json.dumps(report))
