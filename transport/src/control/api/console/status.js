// Status of the server, refreshed while the page is visible.
import { attempt, bytes, count, facts, find, isBusy, span } from "/console/dom.js";

const EVERY_MS = 5_000;
/** Warning levels, as shares of the memory ceiling; at the ceiling new issues are refused. */
const FILLING = 0.7;
const NEARLY_FULL = 0.9;

export function statusView({ section, session, over }) {
  const readiness = find(section, "#readiness");

  async function draw() {
    const now = await session.ask("GET", "status");
    const [word, kind] = now.draining ? ["Draining", "warning"] : now.ready ? ["Ready", "good"] : ["Not ready", "bad"];
    if (readiness.textContent !== word) readiness.textContent = word;
    readiness.className = `chip ${kind}`;
    find(section, "#running").textContent =
      `Version ${now.version}, up ${span(now.uptime_seconds)}, ${now.lanes} ${now.lanes === 1 ? "lane" : "lanes"}`;
    const { memory, mail, store, catalog } = now;
    const share = memory.bytes / memory.ceiling_bytes;
    const fullness = share > NEARLY_FULL ? "bad" : share > FILLING ? "warning" : "";
    facts(find(section, "#tiles"), [
      ["Live codes", count(now.live_slots)],
      ["Bans active", count(now.bans_active)],
      ["Connections", count(now.connections)],
      ["Mail waiting", count(now.mail_queued)],
      ["Keys", count(now.keys)],
      [`Memory, of ${bytes(memory.ceiling_bytes)}`, bytes(memory.bytes), fullness],
      ["Exposed secret keys", count(now.keys_exposed), now.keys_exposed ? "bad" : ""],
      ["Keys with few answered mails", now.low_conversion.map((low) => low.key).join(", ") || "0",
        now.low_conversion.length ? "bad" : ""],
    ]);
    facts(find(section, "#mail"), [
      ["Accepted", count(mail.accepted)],
      ["Sent", count(mail.sent)],
      ["Maybe sent", count(mail.maybe_sent)],
      ["Failed", count(mail.failed), mail.failed ? "warning" : ""],
      ["Expired before being sent", count(mail.expired), mail.expired ? "warning" : ""],
      ["Provider failovers", count(mail.failovers), mail.failovers ? "warning" : ""],
    ]);
    facts(find(section, "#store"), [
      ["Store", store.kind === "postgres" ? "PostgreSQL" : "SQLite"],
      ["State", store.up ? "answers" : "does not answer", store.up ? "" : "bad"],
      ["Revision", count(store.revision)],
      ["Catalog", catalog.version],
      ["Disposable domains", count(catalog.entries)],
    ]);
    find(section, "#updated").textContent =
      `As of ${new Date().toLocaleTimeString("en-GB")}; refreshed every ${EVERY_MS / 1_000} seconds.`;
  }

  const isSeen = () => !section.hidden && document.visibilityState === "visible";
  const again = () => {
    if (isSeen() && !isBusy(section)) attempt(section, draw);
  };
  const timer = setInterval(again, EVERY_MS);
  over.addEventListener("abort", () => clearInterval(timer));
  document.addEventListener("visibilitychange", again, { signal: over });
  return draw;
}
