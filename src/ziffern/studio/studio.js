// What Gradio's components lack: arrow keys between tabs, and German names of the buttons in its lists.
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
