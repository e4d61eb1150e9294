// The page of one field. What a person enters is sent in order, in the background; the next fields are here already.

const RETRY = 1000; // milliseconds
const READABLE = 400; // milliseconds before a second Enter confirms what a warning is about
const SHOWN = 7; // suggestions
const AHEAD = 5; // fields that wait
const main = document.getElementById("work");
const input = document.getElementById("value");
const options = document.getElementById("options");
const warning = document.getElementById("warning");
const { language, queue } = main.dataset;
const lists = new Map(); // valid values by address, each loaded once; a promise until they are here

let current = null;
let upcoming = [];
let chain = Promise.resolve();
let unsaved = 0;
let isBlocked = false;
let shownAt = 0;
let choices = []; // [value, note, kind] of each suggestion
let chosen = -1;
let typed = ""; // before a suggestion was chosen
let warned = null; // the value that Enter confirms although it breaks a rule
let warnedAt = 0;
let isChecking = false; // until the server has checked the value that was confirmed
let pending = []; // keys pressed meanwhile, for the next field

function itemOf(article, parts) {
  const item = { ...article.dataset, choices: JSON.parse(article.dataset.options), parts, doubts: new Map() };
  for (const [value, , kind] of item.choices.slice(0, SHOWN)) if (kind === "value") doubtAbout(item, value);
  if (item.list && !lists.has(item.list)) {
    lists.set(item.list, fetch(item.list).then((answer) => answer.json()).then((values) => {
      lists.set(item.list, values);
    }).catch(() => lists.delete(item.list)));
  }
  return item;
}

const PARTS = ["crop", "about", "context"];

function itemsIn(content) {
  return [...content.querySelectorAll("article")].map((inert) => {
    const article = document.importNode(inert, true); // now its pictures load
    for (const picture of article.querySelectorAll("img")) picture.decode().catch(() => {});
    return itemOf(article, Object.fromEntries(PARTS.map((id) => [id, article.querySelector(`#${id}`)])));
  });
}

function show(item) {
  current = item;
  main.classList.toggle("waiting", !item);
  if (!item) return;
  for (const id of PARTS) document.getElementById(id).replaceWith(item.parts[id]);
  main.dataset.place = item.place;
  history.replaceState(null, "", `/${language}/field/${item.place}?queue=${queue}`);
  input.value = item.guess;
  input.inputMode = item.list || /\D/.test(item.guess) ? "text" : "numeric";
  warned = null;
  if (!unsaved) warn("");
  suggest(item.choices);
  input.focus({ preventScroll: true });
  input.select();
  shownAt = performance.now();
}

function warn(text) {
  if (warning.textContent !== text) warning.textContent = text;
}

function suggest(found) {
  choices = found;
  chosen = -1;
  typed = input.value;
  input.setAttribute("aria-expanded", String(found.length > 0));
  input.removeAttribute("aria-activedescendant");
  options.replaceChildren(...found.map(([value, note, kind], index) => {
    const line = document.createElement("li");
    line.id = `option-${index}`;
    line.setAttribute("role", "option");
    line.setAttribute("aria-selected", "false");
    const text = document.createElement("b");
    text.textContent = value;
    line.append(text);
    if (note) line.append(Object.assign(document.createElement("span"), { textContent: note }));
    line.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      if (isChecking) return;
      choose(index);
      confirm();
    });
    return line;
  }));
}

// The warning was about another value than the one that is shown now.
function withdraw() {
  if (warned !== null) warn("");
  warned = null;
}

function choose(index) {
  withdraw();
  chosen = index;
  for (const [number, line] of [...options.children].entries()) {
    line.setAttribute("aria-selected", String(number === index));
  }
  if (index < 0) {
    input.value = typed;
    input.removeAttribute("aria-activedescendant");
  } else {
    const [value, , kind] = choices[index];
    input.value = kind === "value" ? value : "";
    if (current && input.value) doubtAbout(current, value);
    input.setAttribute("aria-activedescendant", `option-${index}`);
  }
}

// The valid values of a field, as soon as they are here.
function listOf(item) {
  const known = lists.get(item.list);
  return Array.isArray(known) ? known : null;
}

function complete() {
  if (isChecking) return; // text of an on-screen keyboard, for the next field
  warned = null;
  warn("");
  const known = current && listOf(current);
  const text = input.value.trim();
  if (current && text) doubtAbout(current, text);
  if (!known || !text) {
    suggest(text ? [] : current ? current.choices : []);
    return;
  }
  const before = text.slice(0, current.several ? text.lastIndexOf(";") + 1 : 0); // ticks that are complete
  const part = text.slice(before.length).toLowerCase();
  const free = known.filter((value) => !before.split(";").includes(value));
  const starts = free.filter((value) => value.toLowerCase().startsWith(part));
  const holds = starts.length ? [] : free.filter((value) => value.toLowerCase().includes(part));
  suggest([...starts, ...holds].slice(0, SHOWN).map((value) => [before + value, "", "value"]));
}

// What the server says against a value, or a promise of it; nothing where it does not answer, so that people can go on.
function doubtAbout(item, value) {
  if (!item.rules) return "";
  if (!item.doubts.has(value)) {
    const address = `/${language}/doubt/${item.place}?value=${encodeURIComponent(value)}`;
    item.doubts.set(value, fetch(address, { signal: AbortSignal.timeout(RETRY) })
      .then((answer) => answer.ok ? answer.text() : Promise.reject())
      .then((text) => item.doubts.set(value, text).get(value))
      .catch(() => item.doubts.delete(value) && ""));
  }
  return item.doubts.get(value);
}

async function confirm() {
  if (!current || isChecking) return;
  const item = current, entered = input.value, value = entered.trim();
  const kind = chosen < 0 ? "value" : choices[chosen][2];
  if (kind !== "value") {
    decide(kind, "");
    return;
  }
  if (!value) {
    warn(warning.dataset.nothing);
    return;
  }
  if (warned === value && performance.now() - warnedAt < READABLE) return;
  let doubt = warned === value ? "" : doubtAbout(item, value), keys = [];
  if (doubt instanceof Promise) { // of a slow connection
    isChecking = true;
    input.focus({ preventScroll: true });
    input.setSelectionRange(entered.length, entered.length);
    doubt = await doubt;
    isChecking = false;
    keys = [...input.value.slice(entered.length), ...pending];
    pending = [];
    if (current !== item) return; // after an undo
  }
  if (doubt) {
    input.value = entered;
    warned = keys.length ? "" : value; // who typed on must see the warning first
    warnedAt = performance.now();
    warn(doubt);
    return;
  }
  decide("value", value);
  while (keys.length && !isChecking && warned === null) replay(keys.shift());
  if (isChecking) pending = keys;
  else if (keys.length) warned = "";
}

// Apply a key that was pressed during a check to the field that is shown now.
function replay(key) {
  if (key === "Enter") confirm();
  else if (key in KEYS) act(KEYS[key]);
  else {
    const end = input.selectionEnd, isDeleted = key === "Backspace";
    const start = isDeleted && end === input.selectionStart ? Math.max(0, end - 1) : input.selectionStart;
    input.setRangeText(isDeleted ? "" : key, start, end, "end");
    complete();
  }
}

function decide(kind, value) {
  if (!current || isBlocked) return;
  const seconds = (performance.now() - shownAt) / 1000;
  const entry = { place: placeOf(current), kind, value, seconds };
  show(upcoming.shift() ?? null);
  save("decide", entry);
}

const placeOf = (item) => item.place.split("/").map(Number);

function save(path, entry) {
  unsaved += 1;
  chain = chain.then(() => send(path, entry)).then((answer) => {
    unsaved -= 1;
    if (answer) receive(answer);
    return answer;
  });
  return chain;
}

async function send(path, entry) {
  while (!isBlocked) {
    let why = "";
    const held = [...(current ? [current] : []), ...upcoming].map(placeOf);
    const body = JSON.stringify({ ...entry, queue, held });
    try {
      const headers = { "content-type": "application/json" };
      const answer = await fetch(`/${language}/${path}`, { method: "POST", headers, body });
      if (answer.ok) return await answer.json();
      if (answer.status < 500 && answer.status !== 429) {
        isBlocked = true; // and the page is loaded anew
        main.classList.add("blocked");
        warn(warning.dataset.refused);
        return null;
      }
      if (answer.headers.get("content-type")?.startsWith("text/plain")) why = await answer.text();
    } catch {
      // no connection: once more
    }
    warn(`${warning.dataset.unsaved.replace("COUNT", unsaved)} ${why}`);
    await new Promise((resolve) => setTimeout(resolve, RETRY));
  }
  return null;
}

function receive({ progress, fields }) {
  document.getElementById("bar").value = progress.done;
  document.getElementById("done").textContent = progress.text;
  document.getElementById("left").textContent = progress.left;
  if (!unsaved && warned === null && warning.textContent !== warning.dataset.start) warn("");
  const here = new Set([current, ...upcoming].filter(Boolean).map((item) => item.place));
  const found = itemsIn(new DOMParser().parseFromString(fields, "text/html"));
  upcoming.push(...found.filter((item) => !here.has(item.place)));
  if (current) return;
  if (upcoming.length) show(upcoming.shift());
  else if (!unsaved) location.assign(`/${language}/`);
}

async function undo() {
  const answer = await save("undo", { at: performance.timeOrigin + performance.now() });
  if (!answer) return;
  const [item] = itemsIn(new DOMParser().parseFromString(answer.undone, "text/html"));
  if (!item) {
    warn(warning.dataset.start);
    return;
  }
  upcoming = upcoming.filter((other) => other.place !== item.place);
  if (current && current.place !== item.place) upcoming.unshift(current);
  upcoming.splice(AHEAD); // the server lends them again
  show(item);
}

const KEYS = { "/": "empty", "*": "unreadable", "+": "later" };

function press(event) {
  const isControl = event.ctrlKey || event.metaKey;
  if (isChecking) {
    const isKept = event.key.length === 1 ? !isControl && !event.altKey : ["Enter", "Backspace"].includes(event.key);
    if (isKept && (event.key !== "Enter" || !event.repeat)) pending.push(event.key);
  } else if (isControl && event.key.toLowerCase() === "z") act("undo");
  else if (isControl || event.altKey) return;
  else if (event.key in KEYS) act(KEYS[event.key]);
  else if (event.key === "Backspace" && !input.value) act("undo");
  else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const count = choices.length + 1; // and what was typed
    const step = event.key === "ArrowDown" ? 1 : -1;
    choose(((chosen + 1 + step + count) % count) - 1);
  } else if (/^\d$/.test(event.key) && document.activeElement !== input) {
    input.focus();
    return;
  } else if (event.key === "Escape") {
    withdraw();
    input.value = current ? current.guess : "";
    if (current) suggest(current.choices);
    input.select();
  } else if (event.key === "Enter" && event.target === input) {
    if (!event.repeat) confirm();
  } else return;
  event.preventDefault();
}

function act(kind) {
  if (isChecking) return;
  if (kind === "undo") undo();
  else decide(kind, "");
}

if (input) {
  document.addEventListener("keydown", press);
  input.addEventListener("input", complete);
  document.getElementById("entry").addEventListener("submit", (event) => {
    event.preventDefault();
    confirm();
  });
  for (const button of document.querySelectorAll("button[data-kind]")) {
    button.addEventListener("click", () => {
      act(button.dataset.kind);
      input.focus({ preventScroll: true });
    });
  }
  addEventListener("beforeunload", (event) => {
    if (unsaved && !isBlocked) event.preventDefault();
  });
  const [first, ...others] = document.getElementById("cards").content.querySelectorAll("article");
  const parts = Object.fromEntries(PARTS.map((id) => [id, document.getElementById(id)]));
  show(itemOf(first, parts));
  const rest = document.createDocumentFragment();
  rest.append(...others);
  upcoming = itemsIn(rest);
}
