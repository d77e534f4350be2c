// Bans: list, add and lift them.
import { attempt, button, count, date, fill, find, note, onsubmit, row, span } from "/console/dom.js";

export function bansView({ section, session, say }) {
  async function draw() {
    const { bans, total } = await session.ask("GET", "bans");
    const rows = bans.map((ban) => row(
      ["Network", ban.peer],
      ["Until", date(ban.until)],
      ["Left", span(ban.seconds_left)],
      ["In a row", count(ban.count)],
      ["", button("Lift", `the ban of ${ban.peer}`, () => attempt(section, () => lift(ban.peer)))],
    ));
    fill(section, rows, "Nobody is banned.");
    const isPart = bans.length < total;
    find(section, "#ban-total").textContent =
      isPart ? `${count(bans.length)} of ${count(total)} bans, those that last longest.` : "";
  }

  async function lift(peer) {
    await session.ask("DELETE", "bans", { peer });
    say(`The ban of ${peer} was lifted.`);
    await draw();
  }

  const form = find(section, "#new-ban");
  onsubmit(form, async () => {
    const length = find(form, "#ban-span").value.trim();
    const peer = find(form, "#ban-peer").value.trim();
    const ban = await session.ask("POST", "bans", { peer, ...(length ? { for: length } : {}) });
    form.reset();
    form.closest("details").open = false;
    say(`${ban.peer} is banned for ${span(ban.seconds_left)}.`);
    await draw();
  });

  return async () => {
    note(section, "Loading…");
    await draw();
  };
}
