// Adds to Gradio's components: arrow keys between tabs, short names of text fields, German names of buttons in lists.
document.addEventListener("keydown", (event) => {
  const tab = event.target.closest?.("[role=tab]");
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!tab || !step) return;
  const all = [...tab.closest("[role=tablist]").querySelectorAll("[role=tab]")].filter((each) => each.offsetParent);
  const next = all[(all.indexOf(tab) + step + all.length) % all.length];
  event.preventDefault();
  next.click();
  next.focus();
});
// The label of a text field includes its explanation; its name is the first part, as for Gradio's other fields.
const nameFields = () => {
  for (const field of document.querySelectorAll("label :is(input[type=text], textarea):not([aria-label])")) {
    const name = field.closest("label").querySelector("[data-testid=block-info]")?.textContent.trim();
    if (!name) continue;
    field.setAttribute("aria-label", name);
    field.setAttribute("inputmode", "decimal"); // all of them are numbers: phones show the digits
  }
};
new MutationObserver(nameFields).observe(document.documentElement, { childList: true, subtree: true });
if (document.documentElement.lang === "de") {
  const german = (text) => text.replace(/^Remove\b/, "Entfernen:").replace(/^Clear$/, "Leeren");
  const mend = () => {
    for (const name of ["aria-label", "title"]) {
      for (const each of document.querySelectorAll(`[${name}^=Remove], [${name}=Clear]`)) {
        each.setAttribute(name, german(each.getAttribute(name)));
      }
    }
  };
  new MutationObserver(mend).observe(document.documentElement, { childList: true, subtree: true, attributeFilter: ["aria-label", "title"] });
}
