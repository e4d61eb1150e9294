const canvas = element.querySelector("canvas");
const pen = canvas.getContext("2d", { willReadFrequently: true });
let isDrawing = false;
let waiting = 0;

function clear() {
  pen.fillStyle = "white";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.lineWidth = 22;
  pen.lineCap = pen.lineJoin = "round";
  pen.strokeStyle = "black";
}

function send(value) {
  props.value = value;
  trigger("submit");
}

function place(event) {
  const box = canvas.getBoundingClientRect();
  return [((event.clientX - box.left) * canvas.width) / box.width, ((event.clientY - box.top) * canvas.height) / box.height];
}

canvas.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  event.preventDefault();
  canvas.setPointerCapture(event.pointerId);
  clearTimeout(waiting);
  props.value = ""; // neither an unfinished drawing nor the one before it may be kept
  isDrawing = true;
  pen.beginPath();
  pen.moveTo(...place(event));
  pen.lineTo(...place(event));
  pen.stroke();
});
canvas.addEventListener("pointermove", (event) => {
  if (!isDrawing) return;
  const moves = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
  for (const each of moves.length ? moves : [event]) pen.lineTo(...place(each));
  pen.stroke();
});
for (const name of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(name, () => {
    if (!isDrawing) return;
    isDrawing = false;
    waiting = setTimeout(() => send(canvas.toDataURL("image/png")), 250);
  });
}

async function take(file) {
  if (!file || !file.type.startsWith("image/")) return;
  try {
    const picture = await createImageBitmap(file);
    const scale = Math.min(1, 1024 / Math.max(picture.width, picture.height));
    const copy = document.createElement("canvas");
    copy.width = Math.max(1, Math.round(picture.width * scale));
    copy.height = Math.max(1, Math.round(picture.height * scale));
    const paint = copy.getContext("2d");
    paint.fillStyle = "white";
    paint.fillRect(0, 0, copy.width, copy.height);
    paint.drawImage(picture, 0, 0, copy.width, copy.height);
    clear();
    const fit = Math.min(canvas.width / copy.width, canvas.height / copy.height);
    const [wide, high] = [copy.width * fit, copy.height * fit];
    pen.drawImage(copy, (canvas.width - wide) / 2, (canvas.height - high) / 2, wide, high);
    send(copy.toDataURL("image/png"));
  } catch {
    send("data:image/unreadable,");
  }
}

element.querySelector("input[type=file]").addEventListener("change", (event) => take(event.target.files[0]));
canvas.addEventListener("dragover", (event) => event.preventDefault());
canvas.addEventListener("drop", (event) => {
  event.preventDefault();
  take(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => {
  if (!element.isConnected || !canvas.offsetParent) return;
  const file = [...event.clipboardData.files].find((each) => each.type.startsWith("image/"));
  if (file) take(file);
});
element.querySelector(".clear").addEventListener("click", () => {
  clearTimeout(waiting);
  element.querySelector("input[type=file]").value = "";
  clear();
  send("");
});
clear();
