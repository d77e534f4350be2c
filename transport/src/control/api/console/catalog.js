// The catalog of disposable domains: look up a domain, replace the base list.
import { count, facts, find, onsubmit } from "/console/dom.js";

const VERDICTS = {
  unlisted: "is not listed.",
  allowed: "is always allowed here.",
  relay: "is a privacy relay.",
  disposable: "is disposable.",
};

export function catalogView({ section, session, say }) {
  async function draw() {
    const { version, entries } = await session.ask("GET", "catalog");
    facts(find(section, "#catalog-facts"), [["Version", version], ["Domains", count(entries)]]);
  }

  const verdict = find(section, "#verdict");
  onsubmit(find(section, "#look-up"), async () => {
    verdict.textContent = "";
    const query = new URLSearchParams({ domain: find(section, "#domain").value.trim() });
    const said = await session.ask("GET", `catalog?${query}`);
    verdict.className = said.refused ? "bad" : "good";
    const then = said.refused ? "Issues to it are refused." : "Codes are mailed to it.";
    verdict.textContent = `${said.domain} ${VERDICTS[said.class] ?? said.class} ${then}`;
  });

  const form = find(section, "#load");
  onsubmit(form, async () => {
    find(form, "#loaded").textContent = "Reading…";
    try {
      const force = find(form, "#force").checked ? "?force=true" : "";
      const taken = await session.ask("POST", `catalog${force}`, find(form, "#list").files[0]);
      form.reset();
      say(`The catalog has ${count(taken.entries)} domains now; ${count(taken.skipped_total)} entries were skipped, `
        + `${count(taken.bad_lines)} lines were invalid.`);
    } finally {
      find(form, "#loaded").textContent = "";
    }
    await draw();
  });

  return draw;
}
