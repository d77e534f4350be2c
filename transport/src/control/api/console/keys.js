// Keys: list and create them. Actions on one key are in key_deeds.js.
import { attempt, button, chip, date, element, fill, find, lines, note, onsubmit, row } from "/console/dom.js";
import { keyDeeds } from "/console/key_deeds.js";

const KINDS = { active: "good", rotating: "warning", expired: "", revoked: "bad" };

/** By state, working keys first; then newest first. */
const ORDER = Object.keys(KINDS);
const before = (a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || b.created_at.localeCompare(a.created_at);

const kind = (key) => `${key.class} ${key.test ? "test" : "live"}`;

/** A readable name of a key. */
const named = (key) => `${kind(key)} key …${key.last_four}`;

export function keysView({ section, workspace, session, say }) {
  const [filter, form, more] = ["#key-filter", "#new-key", "#more-keys"].map((name) => find(section, name));
  const deeds = keyDeeds({ workspace, session, say, changed: () => attempt(section, () => list()) });
  let shown = [];

  async function projects(wanted) {
    const { projects } = await session.ask("GET", "projects");
    const names = projects.map((project) => project.name);
    const chosen = names.includes(wanted) ? wanted : "";
    const options = () => names.map((name) => element("option", { value: name }, name));
    filter.replaceChildren(element("option", { value: "" }, "All projects"), ...options());
    filter.value = chosen;
    const own = find(form, "#key-project");
    own.replaceChildren(...options());
    if (chosen) own.value = chosen;
    return names.length;
  }

  async function list(after) {
    const query = new URLSearchParams();
    if (filter.value) query.set("project", filter.value);
    if (after) query.set("after", after);
    const page = await session.ask("GET", `keys?${query}`);
    shown = after ? [...shown, ...page.keys] : page.keys;
    shown.sort(before);
    fill(section, shown.map(line), "No key yet.");
    more.hidden = !page.next;
    more.onclick = () => attempt(section, () => list(page.next));
  }

  function line(key) {
    const name = named(key);
    const lives = key.state === "active" || key.state === "rotating";
    return row(
      ["Key", element("strong", {}, kind(key)), element("code", {}, `…${key.last_four}`), element("small", {}, key.id)],
      ["Project", key.project],
      ["State", chip(key.state, KINDS[key.state]), ...next(key)],
      ["Works from", ...places(key)],
      ["Dates", ...dates(key)],
      ["", element("div", { class: "deeds" },
        ...(lives && key.class === "restricted" ? [button("Origins", name, () => deeds.origins(key, name))] : []),
        ...(key.state === "active" ? [button("Rotate", name, () => deeds.rotate(key, name))] : []),
        ...(lives ? [button("Revoke", name, () => deeds.revoke(key, name), "danger")] : []))],
    );
  }

  function next(key) {
    if (!key.successor) return [];
    const successor = shown.find((other) => other.id === key.successor);
    const text = successor ? `next …${successor.last_four}` : "has a successor";
    return [element("small", { title: key.successor }, text)];
  }

  onsubmit(form, async () => {
    const asked = new FormData(form);
    const isRestricted = asked.get("class") === "restricted";
    const expires = find(form, "#key-expires").value.trim();
    const made = await session.ask("POST", "keys", {
      project: find(form, "#key-project").value,
      class: asked.get("class"),
      test: asked.get("mode") === "test",
      native: isRestricted && find(form, "#key-native").checked,
      origins: isRestricted ? lines(find(form, "#key-origins").value) : [],
      ...(expires ? { expires } : {}),
    });
    form.reset();
    fit();
    form.closest("details").open = false;
    say(`Key ${made.id} was created.`);
    deeds.show(made);
    await list();
  });

  // A secret key has no origins: it is for servers only.
  const fit = () => { find(form, "#key-places").hidden = new FormData(form).get("class") !== "restricted"; };
  form.addEventListener("change", fit);
  filter.addEventListener("change", () => { location.hash = `keys/${encodeURIComponent(filter.value)}`; });

  return async (project) => {
    note(section, "Loading…");
    const any = await projects(project);
    await list();
    if (!any) fill(section, [], "No key yet: keys belong to projects, so create one first.");
  };
}

function places(key) {
  if (key.class === "secret") return [element("span", { class: "aside" }, "your servers")];
  const rules = key.origins.map((rule) => element("code", { class: "block" }, rule));
  if (key.native) rules.push(element("span", { class: "aside" }, "apps without origin"));
  return rules.length ? rules : [element("span", { class: "bad" }, "nowhere yet")];
}

function dates(key) {
  const told = (word, text) => element("span", { class: "block" }, `${word} `, date(text));
  return [
    told("created", key.created_at),
    key.expires_at ? told(key.state === "expired" ? "expired" : "expires", key.expires_at) : null,
    key.revoked_at ? told("revoked", key.revoked_at) : null,
  ];
}
