/* The pictures of the theory page. Runs as the body of a function whose parameter `element` contains the fragment;
   all texts are in the fragment, and nothing is measured, so the tab may be hidden. */
"use strict";
const root = element.querySelector("[data-lang]");
if (!root || root.dataset.ready) return;
root.dataset.ready = "yes";

const language = root.dataset.lang;
const find = (id) => root.querySelector(`#${id}`);
const write = (value, options) =>
  value.toLocaleString(language, { signDisplay: "negative", ...options }).replace("-", "−");
const number = (value, digits = 0) =>
  write(value, { minimumFractionDigits: digits, maximumFractionDigits: digits });
const short = (value, digits = 2) => write(value, { maximumSignificantDigits: digits });
const percent = (share, digits = 0) =>
  write(share, { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits });
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const range = (count, low, high) => Array.from({ length: count }, (_, i) => low + ((high - low) * i) / (count - 1));

/* Controls */

const slider = (id, shown, changed) => {
  const input = find(id);
  const output = root.querySelector(`output[for="${id}"]`);
  const tell = () => {
    output.textContent = shown(Number(input.value));
    input.setAttribute("aria-valuetext", output.textContent);
  };
  input.addEventListener("input", () => {
    tell();
    changed();
  });
  tell();
  return () => Number(input.value);
};

const choice = (id, changed) => {
  const group = find(id);
  group.addEventListener("change", changed);
  return () => group.querySelector("input:checked").value;
};

/* Drawing */

const draw = (parent, tag, attributes, text) => {
  const node = document.createElementNS(root.querySelector("svg").namespaceURI, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
};

const line = (svg, kind, a, b, more = {}) =>
  draw(svg, "line", { class: kind, x1: a[0], y1: a[1], x2: b[0], y2: b[1], ...more });
const label = (svg, x, y, text, kind = "", anchor = "middle") =>
  draw(svg, "text", { class: kind, x, y, "text-anchor": anchor }, text);

/* The part of the line from a to b that lies within the box, or null. */
const clip = (a, b, box) => {
  let from = 0;
  let to = 1;
  const way = [b[0] - a[0], b[1] - a[1]];
  for (const axis of [0, 1]) {
    const ends = box[axis].map((edge) => (edge - a[axis]) / way[axis]);
    if (way[axis] === 0) {
      if (a[axis] < box[axis][0] || a[axis] > box[axis][1]) return null;
    } else {
      from = Math.max(from, Math.min(...ends));
      to = Math.min(to, Math.max(...ends));
    }
  }
  if (from > to) return null;
  return [from, to].map((part) => [a[0] + way[0] * part, a[1] + way[1] * part]);
};

/* Draws axes with ticks; returns functions that draw lines and points in the plot's own units. */
const plot = (svg, { x, y, xTicks, yTicks, xText, yText }) => {
  svg.replaceChildren();
  const { width, height } = svg.viewBox.baseVal;
  const [left, right, top, bottom] = [40, width - 20, 24, height - 38];
  const X = (value) => left + ((value - x[0]) / (x[1] - x[0])) * (right - left);
  const Y = (value) => bottom - ((value - y[0]) / (y[1] - y[0])) * (bottom - top);
  for (const tick of xTicks) {
    line(svg, tick === 0 ? "axis" : "grid", [X(tick), top], [X(tick), bottom]);
    label(svg, X(tick), bottom + 15, xText(tick), "tick");
  }
  for (const tick of yTicks) {
    line(svg, tick === 0 ? "axis" : "grid", [left, Y(tick)], [right, Y(tick)]);
    label(svg, left - 6, Y(tick) + 4, yText(tick), "tick", "end");
  }
  label(svg, right, bottom + 32, svg.dataset.x, "name", "end");
  label(svg, 4, 13, svg.dataset.y, "name", "start");
  const curve = (kind, points) => {
    let path = "";
    let last = null;
    points.slice(1).forEach((point, i) => {
      const part = clip(points[i], point, [x, y]);
      if (part) {
        const [a, b] = part.map(([u, v]) => `${X(u).toFixed(2)} ${Y(v).toFixed(2)}`);
        path += a === last ? `L${b}` : `M${a}L${b}`;
        last = b;
      }
    });
    draw(svg, "path", { class: kind, d: path });
  };
  const dot = (kind, u, v, r = 5) => draw(svg, "circle", { class: kind, cx: X(u), cy: Y(v), r });
  return { X, Y, curve, dot, top, bottom, left, right };
};

/* 1. A neuron */

const neuron = () => {
  const svg = find("th-neuron-picture");
  const readout = find("th-neuron-readout");
  const tenth = (value) => number(value, 1);
  const inputs = ["th-x1", "th-x2"].map((id) => slider(id, tenth, show));
  const weights = ["th-w1", "th-w2"].map((id) => slider(id, tenth, show));
  const bias = slider("th-b", tenth, show);
  const bracketed = (value) => (value < 0 ? `(${tenth(value)})` : tenth(value));
  function show() {
    const [x, w, b] = [inputs.map((get) => get()), weights.map((get) => get()), bias()];
    const sum = x[0] * w[0] + x[1] * w[1] + b;
    const output = Math.max(0, sum);
    svg.replaceChildren();
    const center = [196, 96];
    const link = (a, c, weight) =>
      line(svg, weight < 0 ? "link minus" : "link plus", a, c, { "stroke-width": 0.8 + 3.6 * Math.abs(weight) });
    [[40, 46], [40, 146]].forEach((place, i) => {
      link(place, center, w[i]);
      draw(svg, "circle", { class: "cell", cx: place[0], cy: place[1], r: 24 });
      label(svg, place[0], place[1] + 5, tenth(x[i]), "strong");
      label(svg, place[0], place[1] - 30, `x${"₁₂"[i]}`, "name");
      const middle = [112, i ? 139 : 60];
      label(svg, middle[0], middle[1] + (i ? 8 : -8), `w${"₁₂"[i]} = ${tenth(w[i])}`, "name");
    });
    link([196, 176], center, b);
    draw(svg, "circle", { class: "cell soft", cx: 196, cy: 178, r: 19 });
    label(svg, 196, 183, tenth(b), "strong");
    label(svg, 222, 183, svg.dataset.bias, "name", "start");
    line(svg, "link flow", center, [268, 96], { "stroke-width": 2 });
    draw(svg, "path", { class: "arrow", d: "M266 90 L278 96 L266 102 Z" });
    draw(svg, "circle", { class: "cell", cx: center[0], cy: center[1], r: 31 });
    label(svg, center[0], center[1] + 5, number(sum, 2), "strong");
    label(svg, center[0], center[1] - 38, svg.dataset.sum, "name");
    draw(svg, "circle", { class: output > 0 ? "cell lit" : "cell", cx: 306, cy: 96, r: 27 });
    label(svg, 306, 101, number(output, 2), output > 0 ? "strong inverse" : "strong");
    label(svg, 306, 58, svg.dataset.output, "name");
    const calculation = `${tenth(x[0])} · ${bracketed(w[0])} + ${tenth(x[1])} · ${bracketed(w[1])} + ${bracketed(b)}`;
    const values = { calculation, sum: number(sum, 2), output: number(output, 2) };
    readout.textContent = fill(sum < 0 ? readout.dataset.silent : readout.dataset.active, values);
    svg.setAttribute("aria-label", fill(svg.dataset.label, values));
  }
  show();
};

/* 2. Activation functions */

/* Abramowitz and Stegun 7.1.26: to seven digits. */
const erf = (x) => {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const factors = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592];
  return Math.sign(x) * (1 - factors.reduce((sum, factor) => (sum + factor) * t, 0) * Math.exp(-x * x));
};
const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const below = (x) => 0.5 * (1 + erf(x / Math.SQRT2));
const functions = {
  relu: [(x) => Math.max(0, x), (x) => (x > 0 ? 1 : 0)],
  sigmoid: [sigmoid, (x) => sigmoid(x) * (1 - sigmoid(x))],
  tanh: [Math.tanh, (x) => 1 - Math.tanh(x) ** 2],
  gelu: [(x) => x * below(x), (x) => below(x) + (x * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI)],
};

const activation = () => {
  const svg = find("th-function-picture");
  const readout = find("th-function-readout");
  const formulas = find("th-function-formulas");
  const chosen = choice("th-function", show);
  const position = slider("th-function-x", (value) => number(value, 1), show);
  function show() {
    const x = position();
    const [value, slope] = functions[chosen()];
    for (const formula of formulas.children) formula.hidden = formula.dataset.name !== chosen();
    const { curve, dot, X, top, bottom } = plot(svg, {
      x: [-4, 4], y: [-1.5, 4], xTicks: [-4, -2, 0, 2, 4], yTicks: [-1, 0, 1, 2, 3, 4], xText: number, yText: number,
    });
    /* The slope of ReLU jumps at 0: two curves, so that no vertical line is drawn. */
    for (const places of [range(161, -4, 0), range(161, 1e-9, 4)]) {
      curve("line two dashed", places.map((place) => [place, slope(place)]));
      curve("line one", places.map((place) => [place, value(place)]));
    }
    line(svg, "guide", [X(x), top], [X(x), bottom]);
    dot("dot two", x, slope(x));
    dot("dot one", x, value(x), 6.5);
    const values = { x: number(x, 1), value: number(value(x), 3), slope: number(slope(x), 3) };
    readout.textContent = fill(readout.dataset.text, values);
    svg.setAttribute("aria-label", fill(svg.dataset.label, values));
  }
  show();
};

/* 3. From neurons to layers */

const dense = (...units) =>
  units.slice(1).map((to, i) => ({
    kind: i === units.length - 2 ? "output" : "hidden", units: to, factors: [units[i], to], biases: to,
  }));
const convolution = (from, to, side) => ({
  kind: "convolution", units: to * side * side, shape: `${to}×${side}×${side}`, factors: [from, to, 25], biases: to,
});
const picture = { kind: "picture", units: 784, shape: "28×28" };
const models = {
  nn: [picture, ...dense(784, 128, 10)],
  dnn: [picture, ...dense(784, 512, 256, 128, 10)],
  cnn: [picture, convolution(1, 10, 12), convolution(10, 20, 4), ...dense(320, 50, 10)],
};

const layers = () => {
  const svg = find("th-layers-picture");
  const [rows, total] = [find("th-layers-rows"), find("th-layers-total")];
  const chosen = choice("th-model", show);
  const row = (...texts) => {
    const made = document.createElement("tr");
    texts.forEach((text, i) => {
      const cell = document.createElement(i ? "td" : "th");
      if (!i) cell.scope = "row";
      cell.textContent = text;
      made.append(cell);
    });
    return made;
  };
  function show() {
    const all = models[chosen()];
    const counts = {};
    const height = ({ units }) => 4.2 * Math.sqrt(units);
    const place = (i) => 38 + (264 * i) / (all.length - 1);
    let sum = 0;
    svg.replaceChildren();
    rows.replaceChildren();
    all.slice(1).forEach((layer, i) => {
      const [a, b] = [height(all[i]) / 2, height(layer) / 2];
      draw(svg, "path", {
        class: "between",
        d: `M${place(i) + 14} ${112 - a} L${place(i + 1) - 14} ${112 - b} V${112 + b} L${place(i) + 14} ${112 + a} Z`,
      });
    });
    const told = all.map((layer, i) => {
      const high = height(layer);
      draw(svg, "rect", {
        class: `block ${layer.kind}`, x: place(i) - 14, y: 112 - high / 2, width: 28, height: high, rx: 3,
      });
      label(svg, place(i), 106 - high / 2, number(layer.units), "strong");
      if (layer.shape) label(svg, place(i), 127 + high / 2, layer.shape, "tick");
      counts[layer.kind] = (counts[layer.kind] || 0) + 1;
      const name = fill(svg.dataset[layer.kind], { n: counts[layer.kind] });
      if (layer.factors) {
        const made = layer.factors.reduce((a, b) => a * b) + layer.biases;
        const product = layer.factors.map((factor) => number(factor)).join(" · ");
        rows.append(row(name, `${product} + ${number(layer.biases)}`, number(made)));
        sum += made;
      }
      return `${name}: ${number(layer.units)}`;
    });
    total.textContent = number(sum);
    svg.setAttribute("aria-label", fill(svg.dataset.label, { layers: told.join(", "), total: number(sum) }));
  }
  show();
};

/* 4. Softmax */

const softmax = () => {
  const svg = find("th-softmax-picture");
  const readout = find("th-softmax-readout");
  const digits = svg.dataset.digits.split(" ");
  const scores = ["th-z1", "th-z2", "th-z3"].map((id) => slider(id, (value) => number(value, 1), show));
  /* Tenths of a percent that add up to 1000: what is left after rounding down goes to the largest remainders. */
  const rounded = (shares) => {
    const parts = shares.map((share) => Math.floor(share * 1000));
    const order = shares.map((_, i) => i).sort((i, j) => shares[j] * 1000 - parts[j] - (shares[i] * 1000 - parts[i]));
    order.slice(0, 1000 - parts.reduce((sum, part) => sum + part, 0)).forEach((i) => { parts[i] += 1; });
    return parts.map((part) => percent(part / 1000, 1));
  };
  function show() {
    const z = scores.map((get) => get());
    const most = Math.max(...z);
    const powers = z.map((score) => Math.exp(score - most));
    const shares = powers.map((power) => power / powers.reduce((sum, each) => sum + each, 0));
    const texts = rounded(shares);
    const winners = digits.filter((_, i) => z[i] === most);
    svg.replaceChildren();
    shares.forEach((share, i) => {
      const y = 14 + 46 * i;
      label(svg, 16, y + 23, digits[i], "digit");
      draw(svg, "rect", { class: "track", x: 36, y, width: 232, height: 32, rx: 4 });
      draw(svg, "rect", {
        class: z[i] === most ? "block best" : "block hidden",
        x: 36, y, width: Math.max(1.5, 232 * share), height: 32, rx: 4,
      });
      label(svg, 334, y + 22, texts[i], "strong", "end");
    });
    const values = {
      sum: `${texts.join(" + ")} = ${percent(1)}`,
      digit: winners[0],
      list: digits.map((digit, i) => `${digit}: ${texts[i]}`).join(", "),
    };
    readout.textContent = fill(winners.length > 1 ? readout.dataset.tie : readout.dataset.text, values);
    svg.setAttribute("aria-label", fill(svg.dataset.label, values));
  }
  show();
};

/* 5. Loss */

const loss = () => {
  const svg = find("th-loss-picture");
  const readout = find("th-loss-readout");
  const share = slider("th-loss-p", (value) => percent(value / 100), show);
  function show() {
    const p = share() / 100;
    const { curve, dot, X, Y, bottom, left } = plot(svg, {
      x: [0, 1], y: [0, 5], xTicks: [0, 0.25, 0.5, 0.75, 1], yTicks: [0, 1, 2, 3, 4, 5],
      xText: (tick) => percent(tick), yText: number,
    });
    curve("line one", range(400, Math.exp(-5), 1).map((place) => [place, -Math.log(place)]));
    const value = Math.abs(Math.log(p));
    line(svg, "guide", [X(p), Y(value)], [X(p), bottom]);
    line(svg, "guide", [X(p), Y(value)], [left, Y(value)]);
    dot("dot one", p, value, 6.5);
    const values = { p: percent(p), loss: number(value, 2) };
    const kind = p >= 0.8 ? "low" : p >= 0.3 ? "middle" : "high";
    readout.textContent = fill(readout.dataset[kind], values);
    svg.setAttribute("aria-label", fill(svg.dataset.label, values));
  }
  show();
};

/* 6. Optimizers */

const optimizer = () => {
  const svg = find("th-optimizer-picture");
  const readout = find("th-optimizer-readout");
  const [most, near] = [60, 0.01];
  const box = [[-5, 5], [-2.75, 2.75]];
  const [X, Y] = [(x) => 170 + 34 * x, (y) => 93.5 - 34 * y];
  const height = ([x, y]) => 0.1 * x * x + y * y;
  const slope = ([x, y]) => [0.2 * x, 2 * y];
  const chosen = choice("th-optimizer", restart);
  const position = slider("th-rate", (value) => short(10 ** value), restart);
  let path;
  let memory;
  let state;
  let timer = 0;

  const rules = {
    sgd: (place, rate) => place.map((value, i) => value - rate * slope(place)[i]),
    adam: (place, rate) => {
      const gradient = slope(place);
      memory.step += 1;
      return place.map((value, i) => {
        memory.mean[i] = 0.9 * memory.mean[i] + 0.1 * gradient[i];
        memory.square[i] = 0.999 * memory.square[i] + 0.001 * gradient[i] ** 2;
        const mean = memory.mean[i] / (1 - 0.9 ** memory.step);
        const square = memory.square[i] / (1 - 0.999 ** memory.step);
        return value - (rate * mean) / (Math.sqrt(square) + 1e-8);
      });
    },
  };
  function restart() {
    stop();
    path = [[-4.3, 1.3]];
    memory = { step: 0, mean: [0, 0], square: [0, 0] };
    state = "start";
    show();
  }
  function stop() {
    clearInterval(timer);
    timer = 0;
    readout.setAttribute("aria-busy", "false");
  }
  function step() {
    const next = rules[chosen()](path.at(-1), 10 ** position());
    path.push(next);
    const outside = next.some((value, i) => value < box[i][0] || value > box[i][1]);
    state = outside ? "out" : path.length > most ? "end" : "going";
    if (state !== "out" && height(next) < near && Math.hypot(...slope(next)) < 0.2) state = "arrived";
    return state === "going";
  }
  function show() {
    svg.replaceChildren();
    draw(svg, "rect", { class: "field", x: 0, y: 0, width: 340, height: 187 });
    for (const level of [9, 6.5, 4.6, 3.1, 2, 1.2, 0.6, 0.2]) {
      const [rx, ry] = [34 * Math.sqrt(level * 10), 34 * Math.sqrt(level)];
      draw(svg, "ellipse", { class: "level", cx: X(0), cy: Y(0), rx, ry });
    }
    draw(svg, "path", { class: "goal", d: `M${X(0) - 6} ${Y(0)} h12 M${X(0)} ${Y(0) - 6} v12` });
    label(svg, 170, Y(0) + 24, svg.dataset.goal, "name halo");
    const seen = path.map((place, i) => {
      const part = i && state === "out" ? clip(path[i - 1], place, box) : null;
      return (part ? part[1] : place).map((value, axis) => (axis ? Y(value) : X(value)));
    });
    draw(svg, "path", { class: `track-line ${chosen()}`, d: `M${seen.map((place) => place.join(" ")).join("L")}` });
    seen.slice(0, state === "out" ? -1 : undefined).forEach(([cx, cy], i) => {
      draw(svg, "circle", { class: `step ${chosen()}`, cx, cy, r: i === path.length - 1 ? 6 : 2.6 });
    });
    const [startX, startY] = seen[0];
    label(svg, startX, startY - 9, svg.dataset.start, "name halo");
    if (state === "out") {
      const [x, y] = seen.at(-1).map((value, axis) => Math.min(Math.max(value, 9), (axis ? 187 : 340) - 9));
      draw(svg, "path", { class: "lost", d: `M${x - 6} ${y - 6} l12 12 M${x + 6} ${y - 6} l-12 12` });
    }
    const values = { step: number(path.length - 1), height: number(height(path.at(-1)), 3) };
    readout.textContent = fill(readout.dataset[state], values);
    readout.className = `readout ${{ out: "bad", arrived: "good", end: "warn" }[state] || ""}`;
    svg.setAttribute("aria-label", fill(svg.dataset.label, { text: readout.textContent }));
  }
  const finished = () => ["out", "arrived", "end"].includes(state);
  find("th-step").addEventListener("click", () => {
    stop();
    if (finished()) restart();
    step();
    show();
  });
  find("th-run").addEventListener("click", () => {
    stop();
    if (finished()) restart();
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
      while (step());
      show();
      return;
    }
    readout.setAttribute("aria-busy", "true");
    timer = setInterval(() => {
      if (!root.isConnected || !step()) stop();
      show();
    }, 110);
  });
  find("th-reset").addEventListener("click", restart);
  restart();
};

/* 7. Over- and underfitting */

const learned = [
  [-0.94, -0.37], [-0.78, -0.83], [-0.65, -1.06], [-0.5, -0.6], [-0.39, -0.46], [-0.23, -0.38], [-0.07, 0.13],
  [0.1, 1.0], [0.2, 0.72], [0.36, 1.0], [0.5, 0.52], [0.64, 0.46], [0.8, -0.07], [0.95, -0.33],
];
const kept = [
  [-0.92, -0.47], [-0.74, -0.58], [-0.54, -1.02], [-0.32, -0.57], [-0.07, 0.58], [0.13, 0.85], [0.32, 0.99],
  [0.53, 0.75], [0.69, 0.38], [0.93, -0.38],
];

/* Least squares over Chebyshev polynomials, by Gram-Schmidt orthogonalization, done twice against rounding errors. */
const fitted = (points, degree) => {
  const basis = (x) => {
    const values = [1, x];
    while (values.length <= degree) values.push(2 * x * values.at(-1) - values.at(-2));
    return values.slice(0, degree + 1);
  };
  const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
  const table = points.map(([x]) => basis(x));
  const columns = range(degree + 1, 0, degree).map((_, k) => table.map((row) => row[k]));
  const upper = columns.map(() => columns.map(() => 0));
  columns.forEach((column, k) => {
    for (const _ of [1, 2]) {
      for (let j = 0; j < k; j += 1) {
        const part = dot(columns[j], column);
        upper[j][k] += part;
        column.forEach((_, i) => { column[i] -= part * columns[j][i]; });
      }
    }
    upper[k][k] = Math.sqrt(dot(column, column));
    column.forEach((_, i) => { column[i] /= upper[k][k]; });
  });
  const factors = columns.map((column) => dot(column, points.map(([, y]) => y)));
  for (let k = degree; k >= 0; k -= 1) {
    for (let j = k + 1; j <= degree; j += 1) factors[k] -= upper[k][j] * factors[j];
    factors[k] /= upper[k][k];
  }
  return (x) => dot(factors, basis(x));
};

const fit = () => {
  const [svg, errors, readout] = [find("th-fit-picture"), find("th-fit-errors"), find("th-fit-readout")];
  const distance = (curve, points) =>
    Math.sqrt(points.reduce((sum, [x, y]) => sum + (curve(x) - y) ** 2, 0) / points.length);
  const all = range(12, 1, 12).map((degree) => {
    const curve = fitted(learned, degree);
    return { degree, curve, train: distance(curve, learned), validation: distance(curve, kept) };
  });
  const best = all.reduce((a, b) => (b.validation < a.validation ? b : a));
  const degree = slider("th-degree", (value) => number(value), show);
  function show() {
    const now = all[degree() - 1];
    const shown = plot(svg, {
      x: [-1, 1], y: [-1.6, 1.6], xTicks: [-1, -0.5, 0, 0.5, 1], yTicks: [-1, 0, 1],
      xText: (tick) => short(tick), yText: number,
    });
    shown.curve("line one", range(500, -1, 1).map((x) => [x, now.curve(x)]));
    learned.forEach(([x, y]) => shown.dot("dot text", x, y, 4.2));
    kept.forEach(([x, y]) => shown.dot("dot two hollow", x, y, 4.2));
    const below = plot(errors, {
      x: [1, 12], y: [0, 1.3], xTicks: range(12, 1, 12), yTicks: [0, 0.5, 1],
      xText: number, yText: (tick) => number(tick, 1),
    });
    line(errors, "guide", [below.X(now.degree), below.top], [below.X(now.degree), below.bottom]);
    below.curve("line text", all.map((each) => [each.degree, each.train]));
    below.curve("line two dashed", all.map((each) => [each.degree, each.validation]));
    below.dot("dot text", now.degree, now.train);
    below.dot("dot two hollow", now.degree, now.validation);
    const near = now.validation <= 1.25 * best.validation;
    const kind = near ? "good" : now.degree < best.degree ? "under" : "over";
    const values = { degree: number(now.degree), train: number(now.train, 2), validation: number(now.validation, 2) };
    readout.textContent = fill(readout.dataset[kind], values);
    readout.className = `readout ${near ? "good" : "warn"}`;
    for (const each of [svg, errors]) each.setAttribute("aria-label", fill(each.dataset.label, values));
  }
  show();
};

for (const part of [neuron, activation, layers, softmax, loss, optimizer, fit]) part();
