"use strict";
// The page: drawing, upload, drop and paste, and the answer. Names of classes are set as text, never as markup.

const MODEL = JSON.parse(document.getElementById("model").textContent);
const CLASSIFY = compiled(MODEL.net, MODEL.image);
const LANGUAGE = (navigator.languages || [navigator.language]).some((code, i) => i === 0 && /^de\b/i.test(code)) ? "de" : "en";
const MAX_SIDE = 2048;  // pixels: a larger picture is reduced when it is read
const SHOWN = 10;  // classes
const words = (key, values = {}) =>
  MODEL.texts[LANGUAGE][key].replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
const byId = id => document.getElementById(id);
const percent = share => new Intl.NumberFormat(LANGUAGE, {style: "percent", minimumFractionDigits: 1}).format(share);
const drawing = byId("drawing"), pen = drawing.getContext("2d", {willReadFrequently: true});

function clear() {
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, drawing.width, drawing.height);
  byId("answer").textContent = "";
  byId("bars").replaceChildren();
  byId("view").hidden = true;
}

function showImage(pixels) {
  const [channels, height, width] = MODEL.image, canvas = byId("seen"), size = height * width;
  canvas.width = width; canvas.height = height;
  const image = new ImageData(width, height);
  for (let i = 0; i < size; i++) {
    for (let color = 0; color < 3; color++) image.data[4 * i + color] = pixels[(channels === 3 ? color : 0) * size + i];
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  byId("view").hidden = false;
}

function showAnswer(probabilities) {
  const order = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
  const name = MODEL.class_names[order[0]];
  byId("answer").textContent = words("answer", {name, probability: percent(probabilities[order[0]])});
  const shown = probabilities.length <= SHOWN ? [...probabilities.keys()] : order.slice(0, SHOWN);
  byId("bars").replaceChildren(...shown.map(place => {
    const row = document.createElement("div"), bar = document.createElement("progress");
    row.className = "row";
    const [label, value] = [MODEL.class_names[place], percent(probabilities[place])].map(text => {
      const span = document.createElement("span");
      span.textContent = text;
      span.title = text;
      return span;
    });
    bar.value = probabilities[place];
    bar.setAttribute("aria-label", MODEL.class_names[place]);
    row.append(label, bar, value);
    return row;
  }));
}

function classifyPicture(width, height, rgba) {
  const pixels = preparedImage(width, height, rgba, MODEL);
  if (!pixels) {
    byId("answer").textContent = words("nothing");
    byId("bars").replaceChildren();
    return;
  }
  showImage(pixels);
  showAnswer(CLASSIFY(pixels));
}

function classifyCanvas(canvas) {
  const {data, width, height} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  classifyPicture(width, height, data);
}

async function classifyFile(file) {
  clear();
  try {
    const bitmap = await createImageBitmap(file);
    const scale = Math.min(1, MAX_SIDE / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    const context = canvas.getContext("2d");
    context.fillStyle = "#fff";  // below transparent pixels
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    const fit = Math.min(drawing.width / canvas.width, drawing.height / canvas.height);
    const [width, height] = [canvas.width * fit, canvas.height * fit];
    pen.drawImage(canvas, (drawing.width - width) / 2, (drawing.height - height) / 2, width, height);
    isPicture = true;
    classifyCanvas(canvas);
  } catch {
    byId("answer").textContent = words("unreadable");
  }
}

let isPicture = false, last = null;
function point(event) {
  const place = drawing.getBoundingClientRect();
  return [(event.clientX - place.left) * drawing.width / place.width, (event.clientY - place.top) * drawing.height / place.height];
}
drawing.addEventListener("pointerdown", event => {
  if (event.button) return;
  if (isPicture) clear();
  isPicture = false;
  drawing.setPointerCapture(event.pointerId);
  last = point(event);
  stroke(event);
});
function stroke(event) {
  if (!last) return;
  const next = point(event);
  Object.assign(pen, {lineWidth: 22, lineCap: "round", lineJoin: "round", strokeStyle: "#000"});
  pen.beginPath();
  pen.moveTo(...last);
  pen.lineTo(...next);
  pen.stroke();
  last = next;
}
drawing.addEventListener("pointermove", stroke);
for (const end of ["pointerup", "pointercancel"])
  drawing.addEventListener(end, () => {
    if (last) classifyCanvas(drawing);
    last = null;
  });
byId("clear").addEventListener("click", () => { clear(); isPicture = false; });
byId("file").addEventListener("change", event => {
  if (event.target.files[0]) classifyFile(event.target.files[0]);
  event.target.value = "";
});
const imageOf = items => [...(items?.files || [])].find(file => file.type.startsWith("image/"));
addEventListener("paste", event => { if (imageOf(event.clipboardData)) classifyFile(imageOf(event.clipboardData)); });
addEventListener("dragover", event => event.preventDefault());
addEventListener("drop", event => {
  event.preventDefault();
  if (imageOf(event.dataTransfer)) classifyFile(imageOf(event.dataTransfer));
});

document.documentElement.lang = LANGUAGE;
for (const element of document.querySelectorAll("[data-text]")) element.textContent = words(element.dataset.text);
drawing.setAttribute("aria-label", words("drawing"));
byId("seen").setAttribute("aria-label", words("seen"));
byId("about").textContent = words("about", {run: MODEL.run, data: MODEL.data.name, version: MODEL.versions.ziffern});
clear();
globalThis.ziffern = {  // for programs
  classify: CLASSIFY,
  prepare: (width, height, rgba, settings = {}) => preparedImage(width, height, rgba, {...MODEL, ...settings}),
};
