"use strict";
// The digit in a picture as an image of MNIST: the steps and constants of ziffern.data.cutout.
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
const mapped = (from, change) => picture(from.width, from.height, Float32Array.from(from.data).map(change));
const largest = data => data.reduce((a, b) => Math.max(a, b), -Infinity);
const smallest = data => data.reduce((a, b) => Math.min(a, b), Infinity);
const sumOf = data => data.reduce((a, b) => a + b, 0);
const mean = data => sumOf(data) / data.length;
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
  const small = reduced(gray, 48), left = round(0.1 * small.width), top = round(0.1 * small.height);
  const inner = cropped(small, left, top, small.width - 2 * left, small.height - 2 * top);
  const smooth = blurred(inner, Math.max(small.width, small.height) / 10, true);
  return inner.data.reduce((sum, value, i) => sum + Math.pow(Math.fround(value - smooth.data[i]), 3), 0) > 0;
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
  if (low === high) return low;
  const counts = new Float64Array(bins), factor = Math.fround(bins / (high - low));
  for (const value of values)
    counts[Math.trunc(Math.min(bins - 1, Math.fround(Math.fround(value - low) * factor)))]++;
  const edge = i => (i === bins ? high : low + i * step), middle = i => (edge(i) + edge(i + 1)) / 2;
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
  between.forEach((value, i) => { if (value >= limit) best.push(edge(i + 1)); });
  return mean(best);
}

// Connected parts of a mask; labels are numbers of parts, -1 elsewhere.
function partsOf(mask, neighbors = 8) {
  const {width, height} = mask, labels = new Int32Array(mask.data.length).fill(-1), parts = [];
  for (let start = 0; start < labels.length; start++) {
    if (!mask.data[start] || labels[start] >= 0) continue;
    const part = {left: width, right: 0, top: height, bottom: 0, area: 0, sum: [0, 0]}, waiting = [start];
    labels[start] = parts.length;
    while (waiting.length) {
      const place = waiting.pop(), y = Math.floor(place / width), x = place % width;
      part.left = Math.min(part.left, x); part.right = Math.max(part.right, x + 1);
      part.top = Math.min(part.top, y); part.bottom = Math.max(part.bottom, y + 1);
      part.area++; part.sum[0] += x; part.sum[1] += y;
      for (let v = Math.max(0, y - 1); v <= Math.min(height - 1, y + 1); v++)
        for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++) {
          if (neighbors === 4 && u !== x && v !== y) continue;
          const near = v * width + u;
          if (mask.data[near] && labels[near] < 0) { labels[near] = parts.length; waiting.push(near); }
        }
    }
    part.wide = part.right - part.left; part.high = part.bottom - part.top;
    part.extent = Math.max(part.wide, part.high);
    parts.push(part);
  }
  return {labels, parts};
}
const grown = (mask, steps = 1) => (steps ? grown(extreme(mask, 1, true), steps - 1) : mask);
const any = mask => mask.data.some(Boolean);

// The polynomial of second degree that fits the paper best.
function shadeOf(contrast, isPaper) {
  const {width, height} = contrast, step = Math.max(1, Math.floor(Math.min(width, height) / 30));
  const terms = i => {
    const x = 2 * (i % width) / (width - 1) - 1, y = 2 * Math.floor(i / width) / (height - 1) - 1;
    return [1, x, y, x * x, y * y, x * y];
  };
  const rows = Array.from({length: 6}, (_, k) => Array.from({length: 7}, (_, l) => (k === l ? 1e-3 : 0)));
  for (let y = 0; y < height; y += step)
    for (let x = 0; x < width; x += step) {
      const i = y * width + x;
      if (!isPaper(i)) continue;
      const known = [...terms(i), contrast.data[i]];
      for (let k = 0; k < 6; k++) for (let l = 0; l < 7; l++) rows[k][l] += known[k] * known[l];
    }
  for (let k = 0; k < 6; k++)
    for (let l = 0; l < 6; l++) {
      if (l === k) continue;
      const share = rows[l][k] / rows[k][k];
      for (let m = k; m < 7; m++) rows[l][m] -= share * rows[k][m];
    }
  const weights = rows.map((row, k) => row[6] / row[k]);
  return mapped(contrast, (_, i) => terms(i).reduce((sum, term, k) => sum + term * weights[k], 0));
}

function leveled(contrast, pieces) {
  for (const smooths of [true, false]) {
    const values = contrast.data.filter((_, i) => !pieces.data[i]), threshold = otsu(values);
    const paper = values.filter(value => value <= threshold), level = median(paper);
    let noise = 1.4826 * median(paper.map(value => Math.abs(value - level)));
    noise = noise > 0.0008 ? Math.max(noise, 0.008) : 0;
    const pen = percentile(values.filter(value => value > threshold), 0.6) - level;
    if (!smooths || !noise) return {contrast: mapped(contrast, value => value - Math.fround(level)), noise, pen};
    const before = contrast;
    const shade = shadeOf(before, i => !pieces.data[i] && Math.abs(Math.fround(before.data[i] - level)) < 3 * noise);
    contrast = mapped(before, (value, i) => (pieces.data[i] ? level : value - shade.data[i]));
    if (noise > 0.1 * pen) contrast = blurred(contrast, clip(Math.min(contrast.width, contrast.height) / 60, 0.5, 2));
  }
}

function hysteresis(contrast, pieces, low, high) {
  const value = i => (pieces.data[i] ? 0 : contrast.data[i]), {labels, parts} = partsOf(
    mapped(contrast, (_, i) => (value(i) > low ? 1 : 0)));
  const keep = parts.map(() => false);
  labels.forEach((label, i) => { if (label >= 0 && value(i) > high) keep[label] = true; });
  return mapped(contrast, (_, i) => (labels[i] >= 0 && keep[labels[i]] ? 1 : 0));
}

// Pixels of gaps between ink in one of eight directions, at most `length` apart.
function bridged(ink, gaps, length) {
  length |= 1;
  const middle = length >> 1, result = mapped(ink, () => 0);
  const wide = padded(ink, length), move = (from, steps, isMaximum) => mapped(from, (_, i) => {
    let best = isMaximum ? 0 : 1;
    for (const [x, y] of steps) {
      const value = from.data[i + y * from.width + x];
      if (value !== undefined && (isMaximum ? value > best : value < best)) best = value;
    }
    return best;
  });
  for (let k = 0; k < 8; k++) {
    const [a, b] = [Math.cos(k * Math.PI / 8) * middle, Math.sin(k * Math.PI / 8) * middle], steps = [];
    const long = Math.max(Math.abs(Math.round(a)), Math.abs(Math.round(b)));
    for (let n = -long; n <= long; n++) steps.push([Math.round(n * a / long), Math.round(n * b / long)]);
    const closed = cropped(move(move(wide, steps, true), steps, false), length, length, ink.width, ink.height);
    result.data.forEach((_, i) => { if (closed.data[i] && gaps.data[i]) result.data[i] = 1; });
  }
  return result;
}

// Straight lines near the border that leave the picture or form a frame, without strokes that cross.
function longLines(mask, dark) {
  let lines = throughLines(mask);
  if (Math.min(mask.width, mask.height) >= 30) {
    const frame = frameLines(dark);
    lines = mapped(lines, (value, i) => value || frame.data[i]);
  }
  if (!any(lines)) return lines;
  lines = mapped(grown(lines), (value, i) => (value && mask.data[i] ? 1 : 0));
  const thickness = Math.max(2, round(0.1 * Math.min(mask.width, mask.height)));
  const crossed = bridged(mapped(dark, (value, i) => (value && !lines.data[i] ? 1 : 0)), lines, 2 * (thickness + 1) + 1);
  return mapped(lines, (value, i) => (value && !crossed.data[i] ? 1 : 0));
}

// Lines from border to border, which may lean by a pixel; not the bar of a digit that fills the picture.
function throughLines(mask) {
  const rest = mapped(mask, value => value), sides = [0, 1, 2, 3].map(side => {  // top, right, bottom, left
    const turned = side % 2 ? transposed(mask) : mask, {width, height} = turned, wide = grown(turned), places = [];
    const rows = Array.from({length: height}, (_, y) => sumOf(turned.data.subarray(y * width, (y + 1) * width)));
    const isFilled = rows.some((sum, y) => y + 2 < height && sum + rows[y + 1] + rows[y + 2] >= 0.95 * width);
    for (let y = 0; isFilled && y < round(0.2 * height); y++) {
      const row = side === 1 || side === 2 ? height - 1 - y : y;
      if (mean(wide.data.subarray(row * width, (row + 1) * width)) >= 0.95) places.push(row);
    }
    const found = picture(width, height), far = Math.abs((places[places.length - 1] ?? 0) - (places[0] ?? 0));
    if (places.length && far < Math.max(0.1 * height, 7) + 2)  // grown on both sides
      for (const row of places) found.data.set(turned.data.subarray(row * width, (row + 1) * width), row * width);
    return side % 2 ? transposed(found) : found;
  });
  const near = grown(mapped(mask, (_, i) => largest(sides.map(found => found.data[i]))));
  rest.data.forEach((_, i) => { if (near.data[i]) rest.data[i] = 0; });
  const reaches = touchedSides(rest), kept = sides.filter((_, k) => any(sides[(k + 2) % 4]) || !reaches[(k + 2) % 4]);
  return mapped(mask, (_, i) => (kept.some(found => found.data[i]) ? 1 : 0));
}

// Whether a mask touches the top, right, bottom and left border.
function touchedSides({width, height, data}) {
  const at = (count, place) => Array.from({length: count}, (_, k) => data[place(k)]).some(Boolean);
  return [at(width, k => k), at(height, k => k * width + width - 1),
          at(width, k => (height - 1) * width + k), at(height, k => k * width)];
}

// Long thin lines near the border that leave the picture or have a corner.
function frameLines(dark) {
  const {width, height} = dark;
  let lines = mapped(dark, () => 0);
  for (const axis of [0, 1]) {
    const [side, other] = axis ? [height, width] : [width, height], turn = axis ? transposed : from => from;
    const length = Math.max(8, round(0.85 * side)), thick = Math.max(2, round(0.1 * other));
    const from = turn(dark), run = picture(from.width, from.height);
    for (let y = 0; y < from.height; y++)
      for (let x = 0, first = 0; x <= from.width; x++) {
        if (x < from.width && from.data[y * from.width + x]) continue;
        if (x - first >= length) run.data.fill(1, y * from.width + first, y * from.width + x);
        first = x + 1;
      }
    const {labels, parts} = partsOf(run), wanted = parts.map(part => {
      const center = part.sum[1] / part.area;
      return part.area <= thick * part.wide && Math.min(center, other - 1 - center) <= 0.25 * other;
    });
    const found = turn(mapped(run, (_, i) => (labels[i] >= 0 && wanted[labels[i]] ? 1 : 0)));
    lines = mapped(lines, (value, i) => value || found.data[i]);
  }
  const {labels, parts} = partsOf(lines), keep = parts.map(part =>
    part.left === 0 || part.top === 0 || part.right === width || part.bottom === height ||
    (part.wide > 0.2 * width && part.high > 0.2 * height));
  return mapped(lines, (_, i) => (labels[i] >= 0 && keep[labels[i]] ? 1 : 0));
}

// Lines along the picture's border, frames, and shadows at the border.
function boxPieces(mask, dark, hasBox) {
  const {width, height} = mask, short = Math.min(width, height), pieces = longLines(mask, dark);
  const {labels, parts} = partsOf(mapped(mask, (value, i) => (value && !pieces.data[i] ? 1 : 0)));
  const fromSides = i => {
    const y = Math.floor(i / width), x = i % width;
    return [y, x, height - 1 - y, width - 1 - x];
  };
  const places = parts.map(() => []);
  labels.forEach((label, i) => { if (label >= 0) places[label].push(i); });
  parts.forEach((part, number) => {
    const {left, right, top, bottom, wide, high, area} = part, own = places[number];
    let touched = [top === 0, left === 0, bottom === height, right === width], isPiece = false;
    if (hasBox && Math.min(wide, high) <= 0.1 * short) touched = [wide > high, high >= wide, wide > high, high >= wide];
    if (touched.some(Boolean)) {
      const near = own.filter(i => fromSides(i).some((far, k) => far < 0.1 * short || (touched[k] && far < 0.17 * short)));
      const part = mapped(mask, (_, i) => (labels[i] === number ? 1 : 0));
      isPiece = (near.length >= 0.85 * area && fillsCorners(part, Math.max(2, round(0.08 * short)))) ||
        depthAtBorder(mapped(dark, (value, i) => part.data[i] && value)) > 0.16 * short;
    } else if (part.extent >= 0.6 * short && area <= 0.05 * short * part.extent) {
      const runs = [wide > high, high > wide, wide > high, high > wide];
      isPiece = runs.some((is, k) => is && own.every(i => fromSides(i)[k] < 0.17 * short));
    } else if (Math.min(wide / width, high / height) >= 0.7) {
      const edge = Math.max(2, round(0.17 * Math.min(wide, high) / 2));
      const inside = own.filter(i => {
        const y = Math.floor(i / width), x = i % width;
        return y >= top + edge && y < bottom - edge && x >= left + edge && x < right - edge;
      });
      isPiece = inside.length <= (1 - 0.85) * area;
    }
    if (isPiece) for (const i of own) pieces.data[i] = 1;
  });
  return pieces;
}

// Whether a mask reaches each corner between borders that it touches; a 0 that fills a cell does not.
function fillsCorners(mask, size) {
  const touched = touchedSides(mask), right = mask.width - size, bottom = mask.height - size;
  const corners = [[right, 0], [right, bottom], [0, bottom], [0, 0]];
  return corners.every(([left, top], k) =>
    !touched[k] || !touched[(k + 1) % 4] || any(cropped(mask, Math.max(left, 0), Math.max(top, 0), size, size)));
}

// Half the width of the widest stroke at the picture's border, which is no end of one.
function depthAtBorder(mask) {
  const wide = picture(mask.width + 2, mask.height + 2);
  for (let y = 0; y < wide.height; y++)
    for (let x = 0; x < wide.width; x++)
      wide.data[y * wide.width + x] =
        mask.data[clip(y - 1, 0, mask.height - 1) * mask.width + clip(x - 1, 0, mask.width - 1)];
  const far = distances(wide.data.map(value => 1 - value), wide.width, wide.height);
  return largest(far.filter((_, i) => {
    const y = Math.floor(i / wide.width), x = i % wide.width;
    const inner = y > 0 && x > 0 && y <= mask.height && x <= mask.width;
    return inner && (y === 1 || x === 1 || y === mask.height || x === mask.width);
  }));
}

// The parts that are not much fainter than the digit.
function withoutSmudges(mask, contrast) {
  const {labels, parts} = partsOf(mask);
  if (parts.length === 1) return mask;
  const pen = percentile(contrast.data.filter((_, i) => mask.data[i]), 0.75);
  const dark = parts.map((_, k) => percentile(contrast.data.filter((_, i) => labels[i] === k), 0.75) >= 0.4 * pen);
  return mapped(mask, (_, i) => (labels[i] >= 0 && dark[labels[i]] ? 1 : 0));
}

// No specks, no dots beside the digit, and nothing small at the border and far away.
function digitParts(mask) {
  const {width, height} = mask, {labels, parts} = partsOf(mask), nothing = mapped(mask, () => 0);
  if (!parts.length) return nothing;
  const longest = Math.max(...parts.map(part => part.extent));
  let inner = parts.map(part => part.left > 0 && part.top > 0 && part.right < width && part.bottom < height);
  const innerLongest = Math.max(0, ...parts.filter((_, k) => inner[k]).map(part => part.extent));
  if (innerLongest < 0.4 * longest || !inner.some(Boolean)) inner = parts.map(() => true);
  const most = Math.max(...parts.filter((_, k) => inner[k]).map(part => part.extent));
  const around = padded(mask, 1), depth = largest(distances(around.data.map(value => 1 - value), around.width, around.height));
  const areas = parts.map(part => part.area), ink = areas.reduce((a, b) => a + b, 0);
  const isNoise = parts.length + 1 > 6 && largest(areas) < 0.35 * ink && width < 1.8 * height;
  if (most < 0.1 * Math.min(width, height) || depth > 0.42 * longest || isNoise) return nothing;
  const keep = parts.map(part => part.extent >= 0.15 * most);
  const own = parts.reduce((sum, part, k) => sum + (inner[k] && keep[k] ? part.area : 0), 0);
  const isStrange = parts.map((part, k) => !inner[k] && width < 1.8 * height && part.area < 0.35 * own);
  const isSuspect = parts.map((part, k) => keep[k] && (isStrange[k] ||
    (part.extent < 0.25 * most && 2 * Math.min(part.wide, part.high) >= part.extent)));
  const sure = parts.map((_, k) => keep[k] && !isSuspect[k]);
  if (isSuspect.some(Boolean) && sure.some(Boolean)) {
    const away = distances(mask.data.map((_, i) => (labels[i] >= 0 && sure[labels[i]] ? 1 : 0)), width, height);
    const nearest = parts.map(() => Infinity);
    labels.forEach((label, i) => { if (label >= 0) nearest[label] = Math.min(nearest[label], away[i]); });
    parts.forEach((_, k) => {
      if (isSuspect[k]) keep[k] = nearest[k] <= (isStrange[k] ? 2.5 / 20 : 0.1) * most;
    });
  }
  return mapped(mask, (_, i) => (labels[i] >= 0 && keep[labels[i]] ? 1 : 0));
}

// The ink in 0 to 1, as dark at the faint end of a stroke as at its start.
function evened(contrast, mask) {
  const pen = percentile(contrast.data.filter((_, i) => mask.data[i]), 0.75), rows = [];
  mask.data.forEach((value, i) => { if (value) rows.push(Math.floor(i / mask.width)); });
  const reach = 2 / 20 * (rows[rows.length - 1] - rows[0] + 1);
  const top = extreme(mapped(contrast, value => Math.min(value, pen)), round(reach / 2), true);
  const smooth = from => {
    const small = reduced(from, 64), share = Math.max(small.width, small.height) / Math.max(from.width, from.height);
    return resized(blurred(small, Math.max(reach * share, 0.5)), from.width, from.height, BILINEAR);
  };
  const total = smooth(mapped(top, value => Math.max(value, 0))), count = smooth(mapped(top, value => (value > 0 ? 1 : 0)));
  return mapped(contrast, (value, i) => {
    const local = mask.data[i] ? total.data[i] / Math.max(count.data[i], 1e-6) : pen;
    return clip(value / clip(local / 0.8, 0.3 * pen, pen), 0, 1);
  });
}

function inkOf(gray) {
  if (Math.min(gray.width, gray.height) <= 1) return null;
  const paper = paperOf(gray);
  let contrast = mapped(gray, (value, i) => 1 - Math.fround(value / paper.data[i]));
  let pieces = mapped(gray, () => 0), mask, noise;
  for (let pass = 0; pass < 4; pass++) {
    const values = contrast.data.filter((_, i) => !pieces.data[i]);
    if (!values.length || largest(values) - smallest(values) < 0.03) return null;
    const result = leveled(contrast, pieces), pen = result.pen;
    contrast = result.contrast; noise = result.noise;
    if (pen < Math.max(4 * noise, 0.03)) return null;
    const high = Math.max(0.35 * pen, 4 * noise);
    mask = hysteresis(contrast, pieces, Math.max(0.1 * pen, 2 * noise), high);
    const dark = mapped(mask, (value, i) => (value && contrast.data[i] > Math.max(0.5 * pen, high) ? 1 : 0));
    const found = boxPieces(mask, dark, any(pieces));
    if (!any(found)) break;
    const rest = mapped(mask, (value, i) => (value && !found.data[i] ? 1 : 0)), wide = grown(found), old = pieces;
    pieces = mapped(old, (value, i) => (value || (wide.data[i] && !rest.data[i]) ? 1 : 0));
    mask = rest;
  }
  mask = digitParts(mask);
  if (!any(mask)) return null;
  mask = withoutSmudges(mask, contrast);
  const near = grown(mask);
  return evened(mapped(contrast, (value, i) =>
    (near.data[i] && !pieces.data[i] && value > 2 * noise ? value : 0)), mask);
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
function widened(ink) {
  const scale = Math.max(1, 120 / Math.max(ink.width, ink.height));
  const [width, height] = [ink.width, ink.height].map(side => Math.max(1, round(side * scale)));
  const fine = scale === 1 ? ink : resized(ink, width, height, BICUBIC), thin = mapped(fine, value => (value > 0.5 ? 1 : 0));
  if (!any(thin)) return ink;
  const around = padded(thin, 1), inside = distances(around.data.map(value => 1 - value), around.width, around.height);
  const pixel = Math.max(width, height) / 20;
  const stroke = 4 * (mean(inside.filter((_, i) => around.data[i])) - 0.5) / pixel;
  if (stroke >= 1.4) return ink;
  const grow = (2 - stroke) * pixel / 2 / (1 - 2 / 20), mask = padded(thin, Math.ceil(grow) + 1);
  const away = distances(mask.data, mask.width, mask.height);
  const {labels, parts} = partsOf(mapped(mask, value => 1 - value), 4), deepest = parts.map(() => 0);
  labels.forEach((label, i) => { if (label >= 0) deepest[label] = Math.max(deepest[label], away[i]); });
  const limits = deepest.map((depth, k) => (k ? Math.min(grow, 0.3 * depth) : grow));  // the first is outside
  return mapped(mask, (_, i) => clip((labels[i] < 0 ? grow : limits[labels[i]]) + 1 - away[i], 0, 1));
}

// A digit of 28×28 pixels, light on dark, or null where nothing is drawn.
function asDigit(source) {
  let gray = mapped(reduced(source, 512), round);
  if (Math.max(gray.width, gray.height) < 24)
    for (let axis = 0; axis < 2; axis++)  // each result has whole levels, as in Pillow
      gray = transposed(mapped(resizedRows(gray, 2 * gray.width, BICUBIC), value => clip(round(value), 0, 255)));
  let ink = inkOf(isLightOnDark(gray) ? mapped(gray, value => 255 - value) : gray);
  if (!ink) return null;
  let left = ink.width, right = -1, top = ink.height, bottom = -1;
  ink.data.forEach((value, i) => {
    if (value <= 0.1) return;
    const x = i % ink.width, y = Math.floor(i / ink.width);
    left = Math.min(left, x); right = Math.max(right, x); top = Math.min(top, y); bottom = Math.max(bottom, y);
  });
  if (right < 0) return null;
  ink = widened(cropped(ink, left, top, right - left + 1, bottom - top + 1));
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
