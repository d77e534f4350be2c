// Dialogs: the browser keeps the focus in them and gives it back; Escape closes them.
import { find, onsubmit, refocus } from "/console/dom.js";

/** Returns the form of a dialog; wires its cancel button, and resets the form when the dialog closes. */
export function opened(dialog) {
  const form = find(dialog, "form");
  find(form, ".back").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    form.reset();
    find(form, ".fault").hidden = true;
    refocus();
  });
  return form;
}

/** Asks for confirmation of something that can't be undone; on failure it stays open and shows why. */
export function confirmed(workspace, { title, text, deed, work }) {
  const template = find(workspace, "#confirm");
  const dialog = template.cloneNode(true);
  find(dialog, "#confirm-title").textContent = title;
  find(dialog, "#confirm-text").textContent = text;
  find(dialog, ".danger").textContent = deed;
  template.replaceWith(dialog);
  onsubmit(opened(dialog), async () => {
    await work();
    dialog.close();
  });
  dialog.showModal();
}
