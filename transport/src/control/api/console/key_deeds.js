// Actions on one key, each in a dialog: show it once, rotate it, revoke it, change its origins.
import { attempt, button, element, find, note, onsubmit, refocus } from "/console/dom.js";
import { confirmed, opened } from "/console/dialogs.js";

export function keyDeeds({ workspace, session, say, changed }) {
  const [made, rotate, origins] = ["#made", "#rotate", "#origins"].map((name) => find(workspace, name));
  const of = (key) => `keys/${encodeURIComponent(key.id)}`;
  let key = null;

  /** Shows a new key until the operator confirms having copied it, then forgets it. */
  function show(fresh) {
    const text = find(made, "#made-key");
    text.value = fresh.key;
    find(made, "#made-hint").textContent = "";
    made.showModal();
    text.select();
  }
  find(made, "#copy").addEventListener("click", async () => {
    const text = find(made, "#made-key");
    text.select();
    const byHand = "It could not be copied: select it and copy it by hand.";
    // Only secure contexts have `navigator.clipboard`; `execCommand` also works over plain HTTP.
    const written = navigator.clipboard?.writeText(text.value).then(() => true, () => false);
    const isCopied = await written || document.execCommand("copy");
    find(made, "#made-hint").textContent = isCopied ? "Copied." : byHand;
  });
  const forget = () => { find(made, "#made-key").value = ""; };
  find(made, "#made-done").addEventListener("click", () => {
    forget();
    made.close();
  });
  // The key is never shown again, so Escape must not close the dialog. `closedby` does this in browsers that
  // support it; this handler in the others.
  made.addEventListener("cancel", (event) => event.preventDefault());
  made.addEventListener("close", () => {
    forget();
    refocus();
  });

  const rotation = opened(rotate);
  onsubmit(rotation, async () => {
    const fresh = await session.ask("POST", `${of(key)}/rotate`, { grace: find(rotation, "#grace").value.trim() });
    rotate.close();
    say(`Key ${fresh.id} replaces ${key.id}.`);
    show(fresh);
    changed();
  });

  const rules = opened(origins);
  onsubmit(rules, async () => {
    const rule = find(rules, "#rule");
    draw((await session.ask("POST", `${of(key)}/origins`, { rule: rule.value.trim() })).origins);
    rule.value = "";
    changed();
  });
  function draw(list) {
    find(rules, ".rules").replaceChildren(...list.map((rule) => element("li", {}, element("code", {}, rule),
      button("Remove", rule, () => attempt(rules, async () => {
        draw((await session.ask("DELETE", `${of(key)}/origins`, { rule })).origins);
        find(rules, "#rule").focus();
        changed();
      })))));
    note(rules, list.length ? "" : "None: the key works from no page.");
  }

  function open(dialog, chosen, name) {
    key = chosen;
    find(dialog, ".which").textContent = name;
    dialog.showModal();
  }

  return {
    show,
    rotate: (chosen, name) => open(rotate, chosen, name),
    origins: (chosen, name) => {
      open(origins, chosen, name);
      draw(chosen.origins);
    },
    revoke: (chosen, name) => confirmed(workspace, {
      title: "Revoke this key?",
      text: `The ${name} of ${chosen.project} stops working at once and permanently. Requests with it get 401.`,
      deed: "Revoke",
      work: async () => {
        const unwritten = await session.ask("DELETE", of(chosen));
        say(unwritten ? `Key ${chosen.id}: ${unwritten.detail}.` : `Key ${chosen.id} was revoked.`);
        changed();
      },
    }),
  };
}
