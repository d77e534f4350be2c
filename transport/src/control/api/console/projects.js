// Projects: tenants by name.
import { date, element, fill, find, lines, note, onsubmit, row } from "/console/dom.js";

export function projectsView({ section, session, say }) {
  async function draw() {
    const { projects } = await session.ask("GET", "projects");
    const rows = projects.map((project) => row(
      ["Name", element("strong", {}, project.name)],
      ["Created", date(project.created_at)],
      ["Alerts to", project.alert_to.join(", ") || element("span", { class: "aside" }, "the operator")],
      ["", element("a", { href: `#keys/${encodeURIComponent(project.name)}`, "aria-label": `Keys of ${project.name}` }, "Keys")],
    ));
    fill(section, rows, "No project yet. Keys belong to projects, so create one first.");
  }

  const form = find(section, "#new-project");
  onsubmit(form, async () => {
    const name = find(form, "#project-name").value.trim();
    const alert_to = lines(find(form, "#project-alerts").value);
    const made = await session.ask("POST", "projects", { name, alert_to });
    form.reset();
    form.closest("details").open = false;
    say(`Project ${made.name} was created.`);
    await draw();
  });

  return async () => {
    note(section, "Loading…");
    await draw();
  };
}
