// The form that asks for the server's token.

const dialog = document.getElementById("token-page");
const field = document.getElementById("token");

/** Ask for the token; null if nobody gives one. `refused`: whether one was wrong. */
export function askForToken(refused) {
  document.getElementById("token-refused").hidden = !refused;
  field.value = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("cancel", () => (field.value = ""), { once: true });
    dialog.addEventListener("close", () => resolve(field.value.trim() || null), { once: true });
  });
}
