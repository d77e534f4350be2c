// Signing in and out, and switching sections.
import { Problem, Session } from "/console/api.js";
import { attempt, find, onsubmit } from "/console/dom.js";
import { statusView } from "/console/status.js";
import { projectsView } from "/console/projects.js";
import { keysView } from "/console/keys.js";
import { bansView } from "/console/bans.js";
import { catalogView } from "/console/catalog.js";

const VIEWS = { status: statusView, projects: projectsView, keys: keysView, bans: bansView, catalog: catalogView };

const door = document.getElementById("door");
const token = document.getElementById("token");
const parting = document.getElementById("parting");
/** Signs out, if signed in. */
let leave = () => {};

onsubmit(document.getElementById("sign-in"), async () => {
  const typed = token.value.trim();
  token.select();
  // Other characters can't be sent in a header field.
  if (!/^[\x21-\x7e]+$/.test(typed)) throw new Problem(0, "Invalid admin token", "a token is plain letters and digits");
  const session = new Session(typed);
  await session.ask("GET", "status");
  token.value = "";
  enter(session);
});

/** Creates the workspace at sign-in; sign-out removes it with everything it shows. */
function enter(session) {
  const workspace = document.getElementById("workspace").content.cloneNode(true).firstElementChild;
  const over = new AbortController();
  const said = find(workspace, "#said");
  const say = (text) => { said.textContent = text; };
  const views = Object.entries(VIEWS).map(([name, view]) => {
    const section = find(workspace, `#view-${name}`);
    const link = find(workspace, `nav a[href="#${name}"]`);
    return { name, section, link, show: view({ section, workspace, session, say, over: over.signal }) };
  });

  function look() {
    const [wanted, detail] = location.hash.slice(1).split("/");
    const seen = views.find((view) => view.name === wanted) ?? views[0];
    for (const view of views) {
      view.section.hidden = view !== seen;
      if (view === seen) view.link.setAttribute("aria-current", "page");
      else view.link.removeAttribute("aria-current");
    }
    say("");
    document.title = `${seen.link.textContent} – Authepy console`;
    find(seen.section, "h2").focus({ preventScroll: true });
    attempt(seen.section, () => seen.show(decodeURIComponent(detail ?? "")));
  }

  leave = (why) => {
    leave = () => {};
    session.end();
    over.abort();
    workspace.remove();
    door.hidden = false;
    document.title = "Authepy console";
    parting.textContent = why;
    token.value = "";
    token.focus();
  };
  session.onrefused = () => leave("Signed out: the token is no longer valid.");
  find(workspace, "#sign-out").addEventListener("click", () => leave("Signed out. The token is forgotten."));
  window.addEventListener("hashchange", look, { signal: over.signal });
  parting.textContent = "";
  door.hidden = true;
  document.body.append(workspace);
  look();
}

// A page restored from the back/forward cache must not be signed in.
window.addEventListener("pagehide", () => leave(""));
token.focus();
