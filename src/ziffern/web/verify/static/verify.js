// The page of one field. What a person enters is sent in order, in the background; the next fields are here already.

const RETRY = 1000; // milliseconds
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

function itemOf(article, parts) {
  const item = { ...article.dataset, choices: JSON.parse(article.dataset.options), parts };
  if (item.list && !lists.has(item.list)) {
    lists.set(item.list, fetch(item.list).then((answer) => answer.json()).then((values) => {
      lists.set(item.list, { values, set: new Set(values) });
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
      choose(index);
      confirm();
    });
    return line;
  }));
}

function choose(index) {
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
    input.setAttribute("aria-activedescendant", `option-${index}`);
  }
}

// The valid values of a field, as soon as they are here.
function listOf(item) {
  const known = lists.get(item.list);
  return known?.set ? known : null;
}

function complete() {
  warned = null;
  warn("");
  const known = current && listOf(current);
  const text = input.value.trim();
  if (!known || !text) {
    suggest(text ? [] : current ? current.choices : []);
    return;
  }
  const starts = known.values.filter((value) => value.startsWith(text));
  const holds = starts.length ? [] : known.values.filter((value) => value.includes(text));
  suggest([...starts, ...holds].slice(0, SHOWN).map((value) => [value, "", "value"]));
}

function confirm() {
  if (!current) return;
  const item = current, known = lists.get(item.list);
  if (known instanceof Promise) {
    known.then(() => current === item && confirm()); // no value is taken unchecked
    return;
  }
  const kind = chosen < 0 ? "value" : choices[chosen][2];
  const value = input.value.trim();
  if (kind !== "value") {
    decide(kind, "");
    return;
  }
  const doubt = value && warned !== value ? doubtAbout(value) : "";
  if (!value) {
    warn(warning.dataset.nothing);
  } else if (doubt) {
    warned = value;
    warn(doubt);
  } else {
    decide("value", value);
  }
}

// Why a value should not be possible in the current field, or nothing.
function doubtAbout(value) {
  const { unlisted, length, range, date } = warning.dataset;
  const known = listOf(current), limits = JSON.parse(current.limits);
  const says = (text, low, high) => text.replace("VALUE", value).replace("LOW", low).replace("HIGH", high)
    .replace("SPAN", low === high ? low : `${low}–${high}`);
  const isOutside = (number, [low, high]) => !/^\d+$/.test(value) || number < low || number > high;
  if (known && !known.set.has(value)) return says(unlisted);
  if (limits.length && isOutside(value.length, limits.length)) return says(length, ...limits.length);
  if (limits.range && isOutside(Number(value), limits.range)) return says(range, ...limits.range);
  if (limits.date && !isDate(value, limits.date)) return says(date).replace("FORM", limits.date);
  return "";
}

function isDate(value, form) {
  if (value.length !== form.length || !/^\d+$/.test(value)) return false;
  const [day, month, year] = ["D", "M", "Y"].map((letter) => Number([...value].filter((_, k) => form[k] === letter).join("")));
  const full = form.includes("YYYY") ? year : 2000 + year, found = new Date(Date.UTC(full, month - 1, day));
  return found.getUTCFullYear() === full && found.getUTCMonth() === month - 1 && found.getUTCDate() === day;
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
    } catch {
      // no connection: once more
    }
    warn(warning.dataset.unsaved.replace("COUNT", unsaved));
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
  if (isControl && event.key.toLowerCase() === "z") act("undo");
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
    input.value = current ? current.guess : "";
    if (current) suggest(current.choices);
    input.select();
  } else if (event.key === "Enter" && event.target === input) {
    if (!event.repeat) confirm();
  } else return;
  event.preventDefault();
}

function act(kind) {
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
