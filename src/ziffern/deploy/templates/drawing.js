"use strict";
// The digit in a picture as an image of MNIST: the steps and constants of ziffern.data.drawing.
// A picture is {width, height, data: Float32Array} with levels 0 to 255.

const BOX_FILTER = {support: 0.5, weight: x => (x > -0.5 && x <= 0.5 ? 1 : 0)};
const BILINEAR = {support: 1, weight: x => Math.max(0, 1 - Math.abs(x))};
const BICUBIC = {support: 2, weight: x => {
  const a = -0.5, y = Math.abs(x);
  if (y < 1) return ((a + 2) * y - (a + 3)) * y * y + 1;
  return y < 2 ? (((y - 5) * y + 8) * y - 4) * a : 0;
}};

// Python rounds halves to even numbers.
const round = x => {
  const low = Math.floor(x), rest = x - low;
  return rest === 0.5 ? low + Math.abs(low % 2) : Math.round(x);
};
const clip = (x, low, high) => Math.min(Math.max(x, low), high);
const picture = (width, height, data) => ({width, height, data: data || new Float32Array(width * height)});
const mapped = (from, change) => picture(from.width, from.height, Float32Array.from(from.data, change));
const largest = data => data.reduce((a, b) => Math.max(a, b), -Infinity);
const smallest = data => data.reduce((a, b) => Math.min(a, b), Infinity);
const mean = data => data.reduce((a, b) => a + b, 0) / data.length;
const sorted = data => Float32Array.from(data).sort();

function median(data) {
  const values = sorted(data), middle = values.length >> 1;
  return values.length % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

function percentile(data, share) {
  const values = sorted(data), place = share * (values.length - 1), low = Math.floor(place);
  return values[low] + (place - low) * ((low + 1 < values.length ? values[low + 1] : values[low]) - values[low]);
}

function transposed(from) {
  const to = picture(from.height, from.width);
  for (let y = 0; y < from.height; y++)
    for (let x = 0; x < from.width; x++) to.data[x * to.width + y] = from.data[y * from.width + x];
  return to;
}

// As Pillow resizes: each pixel is the weighted mean of those that the filter reaches.
function resizedRows(from, width, filter) {
  if (width === from.width) return from;
  const to = picture(width, from.height), scale = from.width / width, stretch = Math.max(1, scale);
  for (let x = 0; x < width; x++) {
    const center = (x + 0.5) * scale, reach = filter.support * stretch;
    const first = Math.max(0, Math.trunc(center - reach + 0.5));
    const last = Math.min(from.width, Math.trunc(center + reach + 0.5));
    const weights = [];
    for (let place = first; place < last; place++) weights.push(filter.weight((place - center + 0.5) / stretch));
    const total = weights.reduce((a, b) => a + b, 0);
    for (let y = 0; y < from.height; y++) {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += from.data[y * from.width + first + k] * (weights[k] / total);
      to.data[y * width + x] = sum;
    }
  }
  return to;
}
const resized = (from, width, height, filter) =>
  transposed(resizedRows(transposed(resizedRows(from, width, filter)), height, filter));

function reduced(from, size) {
  const scale = Math.min(1, size / Math.max(from.width, from.height));
  return resized(from, Math.max(1, round(from.width * scale)), Math.max(1, round(from.height * scale)), BOX_FILTER);
}

function blurredRows(from, sigma, isNearest) {
  const radius = Math.trunc(4 * sigma + 0.5), to = picture(from.width, from.height), weights = [];
  for (let k = -radius; k <= radius; k++) weights.push(Math.exp(-0.5 * k * k / (sigma * sigma)));
  const total = weights.reduce((a, b) => a + b, 0), n = from.width;
  const place = x => {
    if (isNearest) return clip(x, 0, n - 1);
    x = ((x % (2 * n)) + 2 * n) % (2 * n);  // mirrored at the edges
    return x < n ? x : 2 * n - 1 - x;
  };
  for (let y = 0; y < from.height; y++)
    for (let x = 0; x < n; x++) {
      let sum = 0;
      for (let k = -radius; k <= radius; k++) sum += weights[k + radius] * from.data[y * n + place(x + k)];
      to.data[y * n + x] = sum / total;
    }
  return to;
}
const blurred = (from, sigma, isNearest) =>
  transposed(blurredRows(transposed(blurredRows(from, sigma, isNearest)), sigma, isNearest));

function isLightOnDark(gray) {
  const small = reduced(gray, 48), smooth = blurred(small, Math.max(small.width, small.height) / 10, true);
  return small.data.reduce((sum, value, i) => sum + Math.pow(Math.fround(value - smooth.data[i]), 3), 0) > 0;
}

function extremeRows(from, reach, isMaximum) {
  const to = picture(from.width, from.height);
  for (let y = 0; y < from.height; y++)
    for (let x = 0; x < from.width; x++) {
      let value = from.data[y * from.width + x];
      const last = Math.min(from.width - 1, x + reach);
      for (let k = Math.max(0, x - reach); k <= last; k++) {
        const other = from.data[y * from.width + k];
        if (isMaximum ? other > value : other < value) value = other;
      }
      to.data[y * from.width + x] = value;
    }
  return to;
}
const extreme = (from, reach, isMaximum) =>
  transposed(extremeRows(transposed(extremeRows(from, reach, isMaximum)), reach, isMaximum));

function padded(from, margin, value = 0) {
  const to = picture(from.width + 2 * margin, from.height + 2 * margin);
  to.data.fill(value);
  for (let y = 0; y < from.height; y++)
    to.data.set(from.data.subarray(y * from.width, (y + 1) * from.width), (y + margin) * to.width + margin);
  return to;
}

function cropped(from, left, top, width, height) {
  const to = picture(width, height);
  for (let y = 0; y < height; y++)
    to.data.set(from.data.subarray((top + y) * from.width + left, (top + y) * from.width + left + width), y * width);
  return to;
}

function paperOf(gray) {
  const small = reduced(gray, 128), longest = Math.max(small.width, small.height);
  const smooth = blurred(small, longest / 128, false), margin = Math.floor(longest / 4) + 1;
  const closed = cropped(
    extreme(extreme(padded(smooth, margin), margin, true), margin, false),
    margin, margin, small.width, small.height);
  const floor = Math.max(1, 0.4 * largest(closed.data));
  return resized(mapped(closed, value => Math.max(value, floor)), gray.width, gray.height, BILINEAR);
}

function otsu(values) {
  const low = smallest(values), high = largest(values), bins = 256, step = (high - low) / bins;
  const edges = Float32Array.from({length: bins + 1}, (_, i) => (i === bins ? high : low + i * step));
  const counts = new Float64Array(bins);
  for (const value of values) {
    let bin = Math.min(bins - 1, Math.trunc((value - low) / (high - low) * bins));
    if (value < edges[bin]) bin--;
    else if (bin < bins - 1 && value >= edges[bin + 1]) bin++;
    counts[bin]++;
  }
  const middle = i => (edges[i] + edges[i + 1]) / 2;
  const total = counts.reduce((sum, count, i) => sum + count * middle(i), 0);
  const between = new Float64Array(bins - 1);
  let below = 0, sum = 0;
  for (let i = 0; i < bins - 1; i++) {
    below += counts[i];
    sum += counts[i] * middle(i);
    const above = values.length - below;
    between[i] = below * above * Math.pow(sum / Math.max(below, 1) - (total - sum) / Math.max(above, 1), 2);
  }
  const limit = largest(between) * (1 - 1e-9), best = [];
  between.forEach((value, i) => { if (value >= limit) best.push(edges[i + 1]); });
  return mean(best);
}

// Without specks, and without parts at the edges if there is a digit inside.
function digitParts(mask, width, height) {
  const labels = new Int32Array(mask.length).fill(-1), parts = [];
  for (let start = 0; start < mask.length; start++) {
    if (!mask[start] || labels[start] >= 0) continue;
    const part = {left: width, right: 0, top: height, bottom: 0}, waiting = [start];
    labels[start] = parts.length;
    while (waiting.length) {
      const place = waiting.pop(), y = Math.floor(place / width), x = place % width;
      part.left = Math.min(part.left, x); part.right = Math.max(part.right, x + 1);
      part.top = Math.min(part.top, y); part.bottom = Math.max(part.bottom, y + 1);
      for (let v = Math.max(0, y - 1); v <= Math.min(height - 1, y + 1); v++)
        for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++) {
          const near = v * width + u;
          if (mask[near] && labels[near] < 0) { labels[near] = parts.length; waiting.push(near); }
        }
    }
    part.extent = Math.max(part.right - part.left, part.bottom - part.top);
    part.sides = (part.left === 0) + (part.right === width) + (part.top === 0) + (part.bottom === height);
    parts.push(part);
  }
  const most = Math.max(...parts.map(part => part.extent));
  let wanted = parts.map(part => part.extent >= 0.15 * most);
  const inner = parts.map((part, i) => wanted[i] && part.sides <= 1);
  if (inner.some(Boolean)) {
    const innerMost = Math.max(...parts.filter((_, i) => inner[i]).map(part => part.extent));
    wanted = parts.map((part, i) => inner[i] && part.extent >= 0.15 * innerMost);
  }
  return mask.map((_, i) => (labels[i] >= 0 && wanted[labels[i]] ? 1 : 0));
}

function inkOf(gray) {
  const paper = paperOf(gray), contrast = picture(gray.width, gray.height);
  gray.data.forEach((value, i) => { contrast.data[i] = 1 - Math.fround(value / paper.data[i]); });
  if (largest(contrast.data) - smallest(contrast.data) < 0.03) return null;
  const threshold = otsu(contrast.data);
  let mask = Uint8Array.from(contrast.data, value => (value > threshold ? 1 : 0));
  const ground = contrast.data.filter((_, i) => !mask[i]), level = median(ground);
  const noise = 1.4826 * median(ground.map(value => Math.abs(value - level)));
  contrast.data = contrast.data.map(value => value - level);
  const inMask = () => contrast.data.filter((_, i) => mask[i]);
  if (mean(inMask()) < 4 * noise) return null;
  mask = digitParts(mask, gray.width, gray.height);
  const full = percentile(inMask(), 0.75);
  const near = extreme(picture(gray.width, gray.height, Float32Array.from(mask)), 1, true);
  return mapped(contrast, (value, i) => (near.data[i] && value > 2 * noise ? clip(value / full, 0, 1) : 0));
}

// Euclidean distance of each pixel to the nearest one where isZero, exactly (Felzenszwalb and Huttenlocher 2012).
function distances(isZero, width, height) {
  const far = 1e12, squares = Float64Array.from(isZero, zero => (zero ? 0 : far));
  const along = (start, step, count) => {
    const f = Float64Array.from({length: count}, (_, i) => squares[start + i * step]);
    const v = new Int32Array(count), z = new Float64Array(count + 1);
    let k = 0;
    z[0] = -Infinity; z[1] = Infinity;
    for (let q = 1; q < count; q++) {
      let s = (f[q] + q * q - f[v[k]] - v[k] * v[k]) / (2 * q - 2 * v[k]);
      while (s <= z[k]) { k--; s = (f[q] + q * q - f[v[k]] - v[k] * v[k]) / (2 * q - 2 * v[k]); }
      v[++k] = q; z[k] = s; z[k + 1] = Infinity;
    }
    for (let q = 0, j = 0; q < count; q++) {
      while (z[j + 1] < q) j++;
      squares[start + q * step] = (q - v[j]) ** 2 + f[v[j]];
    }
  };
  for (let x = 0; x < width; x++) along(x, width, height);
  for (let y = 0; y < height; y++) along(y * width, 1, width);
  return squares.map(Math.sqrt);
}

// Strokes of a thin pen would be fainter than any digit of MNIST.
function thickened(ink) {
  const size = Math.max(ink.width, ink.height), mask = ink.data.map(value => (value > 0.5 ? 1 : 0));
  const depth = distances(mask.map(value => 1 - value), ink.width, ink.height).filter((_, i) => mask[i]);
  const width = 4 * (mean(depth) - 0.5);
  if (width * 20 >= 1.5 * size) return ink;
  const grow = (2.3 * size / 20 - width) / 2 / (1 - 2.3 / 20), wider = padded(ink, Math.ceil(grow));
  const distance = distances(wider.data.map(value => (value > 0.5 ? 1 : 0)), wider.width, wider.height);
  return mapped(wider, (value, i) => Math.max(value, clip(grow + 1 - distance[i], 0, 1)));
}

// A digit of 28×28 pixels, light on dark, or null where nothing is drawn.
function asDigit(source) {
  const gray = reduced(source, 512);
  let ink = inkOf(isLightOnDark(gray) ? mapped(gray, value => 255 - value) : gray);
  if (!ink) return null;
  let left = ink.width, right = -1, top = ink.height, bottom = -1;
  ink.data.forEach((value, i) => {
    if (value <= 0.1) return;
    const x = i % ink.width, y = Math.floor(i / ink.width);
    left = Math.min(left, x); right = Math.max(right, x); top = Math.min(top, y); bottom = Math.max(bottom, y);
  });
  if (right < 0) return null;
  ink = thickened(cropped(ink, left, top, right - left + 1, bottom - top + 1));
  const longest = Math.max(ink.width, ink.height);
  const size = side => Math.max(1, round(side * 20 / longest));
  ink = resized(ink, size(ink.width), size(ink.height), longest > 20 ? BOX_FILTER : BICUBIC);
  ink = mapped(ink, value => clip(value, 0, 1));
  let mass = 0, sumX = 0, sumY = 0;
  ink.data.forEach((value, i) => {
    mass += value; sumX += value * (i % ink.width); sumY += value * Math.floor(i / ink.width);
  });
  const x = clip(round(14 - sumX / mass), 0, 28 - ink.width), y = clip(round(14 - sumY / mass), 0, 28 - ink.height);
  const digit = picture(28, 28), brightest = largest(ink.data);
  for (let v = 0; v < ink.height; v++)
    for (let u = 0; u < ink.width; u++)
      digit.data[(y + v) * 28 + x + u] = round(ink.data[v * ink.width + u] * (255 / brightest));
  return digit;
}

const bordersOf = plane => plane.data.filter((_, i) => i < plane.width || i >= plane.data.length - plane.width)
  .reduce((all, value) => (all.push(value), all), Array.from({length: plane.height}, (_, y) =>
    [plane.data[y * plane.width], plane.data[(y + 1) * plane.width - 1]]).flat());

// In the size of the model with its aspect kept, as ziffern.data.conversion.fitted.
function fitted(plane, width, height) {
  if (plane.width === width && plane.height === height) return plane;
  const scale = Math.min(height / plane.height, width / plane.width);
  const inner = [plane.width, plane.height].map(side => Math.max(1, round(side * scale)));
  const small = mapped(resized(plane, inner[0], inner[1], BILINEAR), value => clip(round(value), 0, 255));
  const to = picture(width, height), top = (height - inner[1]) >> 1, left = (width - inner[0]) >> 1;
  to.data.fill(round(median(bordersOf(plane))));
  for (let y = 0; y < inner[1]; y++)
    to.data.set(small.data.subarray(y * inner[0], (y + 1) * inner[0]), (top + y) * width + left);
  return to;
}

// Whether ink is dark on a plain light ground, as ziffern.data.polarity.light_grounds.
function isDarkOnLight(plane) {
  const border = sorted(bordersOf(plane)), ground = border[border.length >> 1];
  const step = Math.max(8, Math.floor((largest(plane.data) - smallest(plane.data)) / 4));
  const low = ground - step, high = ground + step;
  const darker = low > 0 ? plane.data.filter(value => value < Math.min(low, 255)).length : 0;
  const lighter = high < 255 ? plane.data.filter(value => value > Math.max(high, 0)).length : 0;
  const isPlain = border.filter(value => Math.abs(value - ground) <= 32).length >= 0.6 * border.length;
  if (!isPlain) return false;
  if (!darker && !lighter) return ground > 127;
  return darker > lighter && darker >= 3 * lighter;
}

// RGBA bytes -> the bytes (C, H, W) that the model receives, or null where nothing is drawn.
function preparedImage(width, height, rgba, model) {
  const [channels, rows, columns] = model.image;
  const plane = value => picture(width, height, Float32Array.from({length: width * height}, (_, i) => value(4 * i)));
  const gray = () => plane(i => round(0.299 * rgba[i] + 0.587 * rgba[i + 1] + 0.114 * rgba[i + 2]));
  let planes = channels === 1 ? [gray()] : [0, 1, 2].map(color => plane(i => rgba[i + color]));
  if (model.prepare === "digit" && channels === 1 && (width !== columns || height !== rows)) {
    const digit = asDigit(planes[0]);
    if (!digit) return null;
    planes = [fitted(digit, columns, rows)];
  } else {
    planes = planes.map(each => fitted(each, columns, rows));
    if (model.dark_ground && isDarkOnLight(planes[0])) planes = planes.map(each => mapped(each, value => 255 - value));
  }
  const pixels = new Uint8Array(channels * rows * columns);
  planes.forEach((each, channel) => pixels.set(each.data, channel * rows * columns));
  return pixels;
}
