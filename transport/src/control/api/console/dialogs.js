// Dialogs: the browser keeps the focus in them and gives it back; Escape closes them.
import { find, onsubmit, refocus } from "/console/dom.js";

/** The form of a dialog; it begins anew each time, and its way back works. */
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

/** Asks before something that can't be undone; stays open and says why if it fails. */
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
