// The nets of the course in plain JavaScript, one function for each kind of layer.
//
// A map is what a layer puts out: {height, width, channels, data}. Its data is a Float32Array in
// the order of Keras: rows, in them columns, in them channels. A vector is a map of 1 x 1.
// Weights are in Keras' order, too: a kernel is (rows, columns, channels, filters).
// biome-ignore-all lint/correctness/noUnusedVariables: page.js and its workers use what is here.
"use strict";

function emptyMap(height, width, channels) {
  return { height, width, channels, data: new Float32Array(height * width * channels) };
}

// The same map with another number in place of each; function(number, channel).
function changed(x, change) {
  const y = emptyMap(x.height, x.width, x.channels);
  for (let i = 0; i < y.data.length; i++) y.data[i] = change(x.data[i], i % x.channels);
  return y;
}

// --- Layers ------------------------------------------------------------------------------------

// Every filter on every patch. With `same`, zeros around the map keep its height and width.
function convolution(x, { size, filters, same, kernel, bias }) {
  const zeros = same ? (size - 1) >> 1 : 0;
  const lost = same ? 0 : size - 1;
  const y = emptyMap(x.height - lost, x.width - lost, filters);
  for (let row = 0; row < y.height; row++) {
    for (let column = 0; column < y.width; column++) {
      const here = (row * y.width + column) * filters;
      const sums = y.data.subarray(here, here + filters);
      if (bias) sums.set(bias);
      for (let i = 0; i < size; i++) {
        const from = row + i - zeros;
        if (from < 0 || from >= x.height) continue;
        for (let j = 0; j < size; j++) {
          const at = column + j - zeros;
          if (at < 0 || at >= x.width) continue;
          addProducts(
            sums,
            x.data,
            (from * x.width + at) * x.channels,
            x.channels,
            kernel,
            (i * size + j) * x.channels * filters,
          );
        }
      }
    }
  }
  return y;
}

// Adds to the sums of all filters what one position of the patch contributes: the inner loop of
// everything here. ReLU leaves many zeros, which contribute nothing.
function addProducts(sums, inputs, from, channels, kernel, weights) {
  const filters = sums.length;
  for (let channel = 0; channel < channels; channel++, weights += filters) {
    const input = inputs[from + channel];
    if (input === 0) continue;
    for (let filter = 0; filter < filters; filter++) {
      sums[filter] += input * kernel[weights + filter];
    }
  }
}

// One sum for each unit, over all numbers of the map. kernel: (numbers, units).
function dense(x, { units, kernel, bias }) {
  const y = emptyMap(1, 1, units);
  if (bias) y.data.set(bias);
  addProducts(y.data, x.data, 0, x.data.length, kernel, 0);
  return y;
}

// The largest number of each square of size x size; a last row or column that is left over goes.
function maxPool(x, { size }) {
  const y = emptyMap(Math.floor(x.height / size), Math.floor(x.width / size), x.channels);
  y.data.fill(-Infinity);
  for (let row = 0; row < y.height * size; row++) {
    for (let column = 0; column < y.width * size; column++) {
      const from = (row * x.width + column) * x.channels;
      const to = (Math.floor(row / size) * y.width + Math.floor(column / size)) * x.channels;
      for (let channel = 0; channel < x.channels; channel++) {
        y.data[to + channel] = Math.max(y.data[to + channel], x.data[from + channel]);
      }
    }
  }
  return y;
}

// The mean of each channel over all positions.
function globalMean(x) {
  const y = emptyMap(1, 1, x.channels);
  const positions = x.height * x.width;
  for (let i = 0; i < x.data.length; i++) y.data[i % x.channels] += x.data[i] / positions;
  return y;
}

// The largest number of each channel.
function globalMaximum(x) {
  const y = emptyMap(1, 1, x.channels);
  y.data.fill(-Infinity);
  for (let i = 0; i < x.data.length; i++) {
    y.data[i % x.channels] = Math.max(y.data[i % x.channels], x.data[i]);
  }
  return y;
}

// Batch normalisation of a trained net: its running moments are constants, so that it is a factor
// and a shift for each channel.
function normalization(x, { factor, shift }) {
  return changed(x, (number, channel) => number * factor[channel] + shift[channel]);
}

// The numbers in a row, as one vector.
function flatten(x) {
  return { height: 1, width: 1, channels: x.data.length, data: x.data };
}

function sum(x, _settings, other) {
  const y = emptyMap(x.height, x.width, x.channels);
  for (let i = 0; i < y.data.length; i++) y.data[i] = x.data[i] + other.data[i];
  return y;
}

// Only where the reader asks for it: when a net answers, its dropout does nothing.
function dropout(x, { rate, random }) {
  if (!random) return x;
  return changed(x, (number) => (random() < rate ? 0 : number / (1 - rate)));
}

const ACTIVATIONS = {
  linear: (number) => number,
  relu: (number) => Math.max(0, number),
  silu: (number) => number / (1 + Math.exp(-number)),
};

function activation(x, { activation: name = "linear" }) {
  return name === "linear" ? x : changed(x, ACTIVATIONS[name]);
}

function scale(x, { factor }) {
  return changed(x, (number) => number * factor);
}

const LAYERS = {
  convolution,
  dense,
  maxPool,
  globalMean,
  globalMaximum,
  normalization,
  flatten,
  sum,
  dropout,
  activation,
  scale,
};

// Layers that compute each channel from itself alone. Where a channel is off, it is off behind them,
// too; otherwise a normalisation would make another constant of its zeros.
const CHANNEL_BY_CHANNEL = new Set(
  "maxPool normalization activation dropout scale globalMean globalMaximum".split(" "),
);

// Numbers from 0 to 1 that are the same for the same seed (mulberry32, T. Ettinger 2017).
function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

// Ten logits to ten probabilities. A temperature above 1 makes them more alike.
function softmax(logits, temperature = 1) {
  const largest = Math.max(...logits);
  const powers = Array.from(logits, (logit) => Math.exp((logit - largest) / temperature));
  const total = powers.reduce((one, other) => one + other);
  return powers.map((power) => power / total);
}

// --- Nets --------------------------------------------------------------------------------------

// A net as the page holds it: layers in their order, each with its kind, its settings, and where
// its weights lie in `bytes`. Returns the same with the weights as numbers.
//
// Large kernels are whole numbers from -127 to 127, one byte each, and a factor for each filter.
function unpack(net, bytes) {
  const floats = ([offset, length]) =>
    new Float32Array(bytes.slice(offset, offset + 4 * length).buffer);
  const layers = net.layers.map((layer) => {
    const weights = {};
    for (const [name, place] of Object.entries(layer.floats)) weights[name] = floats(place);
    if (layer.kernel) {
      const [offset, length] = layer.kernel;
      const factors = weights.factors;
      const whole = new Int8Array(bytes.buffer, bytes.byteOffset + offset, length);
      weights.kernel = Float32Array.from(whole, (w, i) => w * factors[i % factors.length]);
    }
    return { ...layer, ...weights };
  });
  return { ...net, layers };
}

// What every layer puts out for one image.
//
// pixels: 32 x 32 x 3 whole numbers from 0 to 255: rows, columns, red, green and blue.
// random: a function that gives numbers from 0 to 1, and switches dropout on.
// off: {name of a layer: set of channels whose numbers are replaced by 0}.
function run(net, pixels, { random = null, off = {} } = {}) {
  const image = emptyMap(32, 32, 3);
  image.data.set(pixels);
  const { factor, shift } = net.pixels;
  const outputs = [];
  const silent = []; // of each layer, the set of channels that are off
  const input = (index) => (index < 0 ? normalization(image, { factor, shift }) : outputs[index]);
  for (const layer of net.layers) {
    const [x, ...others] = layer.inputs.map(input);
    let y = LAYERS[layer.kind](x, { ...layer, random }, ...others);
    if (layer.kind !== "activation") y = activation(y, layer);
    const before = CHANNEL_BY_CHANNEL.has(layer.kind) ? silent[layer.inputs[0]] : null;
    const gone = new Set([...(off[layer.name] ?? []), ...(before ?? [])]);
    if (gone.size) y = changed(y, (number, channel) => (gone.has(channel) ? 0 : number));
    outputs.push(y);
    silent.push(gone);
  }
  return outputs;
}

// The ten logits: the last layer's output. Nets without a classifier put out more numbers; those
// beyond the tenth stand for no class.
function logits(outputs) {
  return outputs[outputs.length - 1].data.slice(0, 10);
}

// --- Looking inside ----------------------------------------------------------------------------

// What each position of the last feature map adds to the logit of a class; null where the head is
// not a chain of layers that are linear around this picture.
//
// With the biases of the head these numbers add up to the logit: for a mean or a maximum of each
// channel because the classifier is linear, for the fully connected head because a net of ReLUs
// is linear as long as no unit switches (gradient times input).
function contributions(net, outputs, label) {
  const heads = ["flatten", "globalMean", "globalMaximum"];
  const head = net.layers.findIndex(({ kind }) => heads.includes(kind));
  const slopes = slopesOf(net, outputs, head, label);
  if (!slopes) return null;
  const { kind, inputs } = net.layers[head];
  const { height, width, channels, data } = outputs[inputs[0]];
  const added = emptyMap(height, width, 1);
  const found = new Set(); // channels whose maximum was met: of equal numbers the first one counts
  for (let i = 0; i < data.length; i++) {
    const channel = i % channels;
    let slope = slopes[channel];
    if (kind === "flatten") slope = slopes[i]; // each number has weights of its own
    if (kind === "globalMean") slope /= height * width;
    if (kind === "globalMaximum") {
      // The position that has the maximum stands for its channel.
      const stands = data[i] === outputs[head].data[channel] && !found.has(channel);
      if (stands) found.add(channel);
      else slope = 0;
    }
    added.data[Math.floor(i / channels)] += slope * data[i];
  }
  return added;
}

// How much a logit changes with each number that a layer of the head takes, if `slopes` is how much
// it changes with each that the layer puts out: the chain rule. x and y: the layer's numbers.
const SLOPES_BEFORE = {
  flatten: (slopes) => slopes,
  activation: (slopes) => slopes,
  scale: (slopes, { factor }) => slopes.map((slope) => slope * factor),
  normalization: (slopes, { factor }) => slopes.map((slope, i) => slope * factor[i]),
  dropout: (slopes, _layer, x, y) => slopes.map((slope, i) => (x[i] ? (slope * y[i]) / x[i] : 0)),
  dense(slopes, { kernel, units }) {
    const before = new Float32Array(kernel.length / units);
    for (let k = 0; k < kernel.length; k++) {
      before[Math.floor(k / units)] += kernel[k] * slopes[k % units];
    }
    return before;
  },
};

// How much the logit of a class changes with each number that the head's first layer puts out: from
// the last layer back; null where a layer has no such rule (two branches, SiLU).
function slopesOf(net, outputs, head, label) {
  let slopes = new Float32Array(outputs[outputs.length - 1].data.length);
  slopes[label] = 1;
  for (let i = net.layers.length - 1; i > head; i--) {
    const layer = net.layers[i];
    const [x, y] = [outputs[layer.inputs[0]].data, outputs[i].data];
    if (!SLOPES_BEFORE[layer.kind] || layer.activation === "silu") return null;
    if (layer.activation === "relu") {
      slopes = slopes.map((slope, k) => (y[k] > 0 ? slope : 0));
    }
    slopes = SLOPES_BEFORE[layer.kind](slopes, layer, x, y);
  }
  return slopes;
}

// How one number of a convolution's map comes about: of all channels of its input the one that
// counts most, with its patch and its part of the kernel, size x size numbers each.
function explain(net, outputs, pixels, index, filter, row, column) {
  const layer = net.layers[index];
  const source = layer.inputs[0];
  const image = { height: 32, width: 32, channels: 3, data: Float32Array.from(pixels) };
  const x = source < 0 ? normalization(image, net.pixels) : outputs[source];
  const { size, filters, same, kernel } = layer;
  const zeros = same ? (size - 1) >> 1 : 0;
  const parts = [];
  for (let channel = 0; channel < x.channels; channel++) {
    const part = { channel, patch: [], weights: [], sum: 0 };
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) {
        const [r, c] = [row + i - zeros, column + j - zeros];
        const inside = r >= 0 && r < x.height && c >= 0 && c < x.width;
        part.patch.push(inside ? x.data[(r * x.width + c) * x.channels + channel] : 0);
        part.weights.push(kernel[((i * size + j) * x.channels + channel) * filters + filter]);
        part.sum += part.patch.at(-1) * part.weights.at(-1);
      }
    }
    parts.push(part);
  }
  const bias = layer.bias ? layer.bias[filter] : 0;
  const total = parts.reduce((sums, part) => sums + part.sum, bias);
  parts.sort((one, other) => Math.abs(other.sum) - Math.abs(one.sum));
  return { ...parts[0], size, channels: x.channels, bias, total };
}
