"use strict";
// Computes the network that the page contains: a list of operations of ONNX on float32 arrays {shape, data}.

const product = shape => shape.reduce((a, b) => a * b, 1);
const array = (shape, data) => ({shape, data: data || new Float32Array(product(shape))});
const each = (x, change) => array(x.shape, x.data.map(change));
const axisOf = (axis, shape) => (axis < 0 ? axis + shape.length : axis);
// [outer, length, inner] sizes around an axis.
const around = (shape, axis) => [product(shape.slice(0, axis)), shape[axis], product(shape.slice(axis + 1))];

function bytesOf(text) {
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

function halfToFloat(half) {
  const sign = half & 0x8000 ? -1 : 1, exponent = (half >> 10) & 31, fraction = half & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

// [shape, kind, base64 of the values, base64 of a scale for each first index]
function tensorOf([shape, kind, values, scales]) {
  const {buffer} = bytesOf(values);
  if (kind === "float32") return array(shape, new Float32Array(buffer));
  if (kind === "float16") return array(shape, Float32Array.from(new Uint16Array(buffer), halfToFloat));
  const scale = new Float32Array(bytesOf(scales).buffer), row = product(shape.slice(1));
  return array(shape, Float32Array.from(new Int8Array(buffer), (value, i) => value * scale[Math.floor(i / row)]));
}

function binary(a, b, compute) {
  const rank = Math.max(a.shape.length, b.shape.length);
  const full = shape => [...Array(rank - shape.length).fill(1), ...shape];
  const left = full(a.shape), right = full(b.shape), shape = left.map((size, i) => Math.max(size, right[i]));
  const result = array(shape);
  for (let place = 0; place < result.data.length; place++) {
    let rest = place, i = 0, j = 0, strideA = 1, strideB = 1;
    for (let axis = rank - 1; axis >= 0; axis--) {
      const at = rest % shape[axis];
      rest = Math.floor(rest / shape[axis]);
      if (left[axis] > 1) i += at * strideA;
      if (right[axis] > 1) j += at * strideB;
      strideA *= left[axis]; strideB *= right[axis];
    }
    result.data[place] = compute(a.data[i], b.data[j]);
  }
  return result;
}

function conv({strides, pads}, x, weight, bias) {
  const [batch, channels, height, width] = x.shape, [filters, , rows, columns] = weight.shape;
  const tall = Math.floor((height + pads[0] + pads[2] - rows) / strides[0]) + 1;
  const wide = Math.floor((width + pads[1] + pads[3] - columns) / strides[1]) + 1;
  const result = array([batch, filters, tall, wide]), sums = new Float64Array(tall * wide);
  // The first and the last output place whose input place lies inside the image.
  const inside = (shift, stride, size, count) =>
    [Math.max(0, Math.ceil(-shift / stride)), Math.min(count - 1, Math.floor((size - 1 - shift) / stride))];
  for (let n = 0; n < batch; n++)
    for (let f = 0; f < filters; f++) {
      sums.fill(bias ? bias.data[f] : 0);
      for (let c = 0; c < channels; c++)
        for (let v = 0; v < rows; v++)
          for (let u = 0; u < columns; u++) {
            const factor = weight.data[((f * channels + c) * rows + v) * columns + u];
            const [top, bottom] = inside(v - pads[0], strides[0], height, tall);
            const [left, right] = inside(u - pads[1], strides[1], width, wide);
            for (let y = top; y <= bottom; y++) {
              const row = ((n * channels + c) * height + y * strides[0] + v - pads[0]) * width + u - pads[1];
              for (let z = left; z <= right; z++) sums[y * wide + z] += factor * x.data[row + z * strides[1]];
            }
          }
      result.data.set(sums, (n * filters + f) * tall * wide);
    }
  return result;
}

function maxPool({kernel_shape: [rows, columns], strides}, x) {
  const [batch, channels, height, width] = x.shape;
  const tall = Math.floor((height - rows) / strides[0]) + 1, wide = Math.floor((width - columns) / strides[1]) + 1;
  const result = array([batch, channels, tall, wide]);
  for (let plane = 0, at = 0; plane < batch * channels; plane++)
    for (let y = 0; y < tall; y++)
      for (let z = 0; z < wide; z++, at++) {
        let most = -Infinity;
        for (let v = 0; v < rows; v++)
          for (let u = 0; u < columns; u++)
            most = Math.max(most, x.data[(plane * height + y * strides[0] + v) * width + z * strides[1] + u]);
        result.data[at] = most;
      }
  return result;
}

function gemm({transB}, x, weight, bias) {
  const [batch, length] = x.shape, units = weight.shape[transB ? 0 : 1], result = array([batch, units]);
  for (let n = 0; n < batch; n++)
    for (let unit = 0; unit < units; unit++) {
      let sum = bias ? bias.data[unit] : 0;
      for (let k = 0; k < length; k++)
        sum += x.data[n * length + k] * weight.data[transB ? unit * length + k : k * units + unit];
      result.data[n * units + unit] = sum;
    }
  return result;
}

function softmax({axis}, x) {
  const [outer, length, inner] = around(x.shape, axisOf(axis, x.shape)), result = array(x.shape);
  for (let o = 0; o < outer; o++)
    for (let i = 0; i < inner; i++) {
      const place = k => (o * length + k) * inner + i;
      let most = -Infinity, total = 0;
      for (let k = 0; k < length; k++) most = Math.max(most, x.data[place(k)]);
      for (let k = 0; k < length; k++) total += Math.exp(x.data[place(k)] - most);
      for (let k = 0; k < length; k++) result.data[place(k)] = Math.exp(x.data[place(k)] - most) / total;
    }
  return result;
}

function reduceMean({keepdims}, x, axes) {
  const chosen = axes.map(axis => axisOf(axis, x.shape)).sort((a, b) => b - a);
  for (const axis of chosen) {
    const [outer, length, inner] = around(x.shape, axis), result = new Float32Array(outer * inner);
    for (let o = 0; o < outer; o++)
      for (let i = 0; i < inner; i++) {
        let sum = 0;
        for (let k = 0; k < length; k++) sum += x.data[(o * length + k) * inner + i];
        result[o * inner + i] = sum / length;
      }
    x = array(x.shape.map((size, place) => (place === axis ? 1 : size)), result);
  }
  return array(keepdims ? x.shape : x.shape.filter((_, place) => !chosen.includes(place)), x.data);
}

function slice(_, x, starts, ends, axes) {
  axes.forEach((given, n) => {
    const axis = axisOf(given, x.shape), [outer, length, inner] = around(x.shape, axis);
    const limit = value => Math.min(Math.max(value < 0 ? value + length : value, 0), length);
    const first = limit(starts[n]), count = Math.max(0, limit(ends[n]) - first);
    const result = array(x.shape.map((size, place) => (place === axis ? count : size)));
    for (let o = 0; o < outer; o++)
      result.data.set(
        x.data.subarray((o * length + first) * inner, (o * length + first + count) * inner), o * count * inner);
    x = result;
  });
  return x;
}

function pad(_, x, pads) {
  const rank = x.shape.length;
  for (let axis = 0; axis < rank; axis++) {
    const before = pads[axis], after = pads[axis + rank];
    if (!before && !after) continue;
    const [outer, length, inner] = around(x.shape, axis), size = length + before + after;
    const result = array(x.shape.map((old, place) => (place === axis ? size : old)));
    for (let o = 0; o < outer; o++)
      result.data.set(x.data.subarray(o * length * inner, (o + 1) * length * inner), (o * size + before) * inner);
    x = result;
  }
  return x;
}

function reshape(_, x, wanted) {
  const shape = wanted.map((size, place) => (size === 0 ? x.shape[place] : size));
  const known = product(shape.filter(size => size > 0));
  return array(shape.map(size => (size < 0 ? x.data.length / known : size)), x.data);
}

function unsqueeze(_, x, axes) {
  const shape = [...x.shape];
  axes.map(axis => (axis < 0 ? axis + x.shape.length + axes.length : axis)).sort((a, b) => a - b)
    .forEach(axis => shape.splice(axis, 0, 1));
  return array(shape, x.data);
}

function concat({axis: given}, ...inputs) {
  const parts = inputs.filter(Boolean), axis = axisOf(given, parts[0].shape);
  const [outer, , inner] = around(parts[0].shape, axis);
  const total = parts.reduce((sum, part) => sum + part.shape[axis], 0);
  const result = array(parts[0].shape.map((size, place) => (place === axis ? total : size)));
  let at = 0;
  for (let o = 0; o < outer; o++)
    for (const part of parts) {
      const length = part.shape[axis] * inner;
      result.data.set(part.data.subarray(o * length, (o + 1) * length), at);
      at += length;
    }
  return result;
}

const OPERATIONS = {
  Add: (_, a, b) => binary(a, b, (x, y) => x + y),
  Sub: (_, a, b) => binary(a, b, (x, y) => x - y),
  Mul: (_, a, b) => binary(a, b, (x, y) => x * y),
  Div: (_, a, b) => binary(a, b, (x, y) => x / y),
  Cast: (_, x) => x,
  Identity: (_, x) => x,
  Relu: (_, x) => each(x, value => Math.max(value, 0)),
  Sigmoid: (_, x) => each(x, value => 1 / (1 + Math.exp(-value))),
  Tanh: (_, x) => each(x, Math.tanh),
  Log: (_, x) => each(x, Math.log),
  Clip: (_, x, low, high) =>
    each(x, value => Math.min(Math.max(value, low ? low.data[0] : -Infinity), high ? high.data[0] : Infinity)),
  Conv: conv,
  MaxPool: maxPool,
  Gemm: gemm,
  Softmax: softmax,
  ReduceMean: reduceMean,
  Slice: slice,
  Pad: pad,
  Reshape: reshape,
  Unsqueeze: unsqueeze,
  Concat: concat,
};

// The function from bytes (C, H, W) to probabilities (K,) of a network.
function compiled({tensors, operations, input, output}, image) {
  const constants = Object.fromEntries(Object.entries(tensors).map(([name, packed]) => [name, tensorOf(packed)]));
  return pixels => {
    const values = {...constants, [input]: array([1, ...image], Float32Array.from(pixels))};
    for (const [kind, result, inputs, settings] of operations)  // an input is a name, a list of integers, or absent
      values[result] = OPERATIONS[kind](
        settings, ...inputs.map(item => (typeof item === "string" ? values[item] : item)));
    return values[output].data;
  };
}
