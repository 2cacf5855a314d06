// Pictures as the nets take them, 32 x 32 x 3 whole numbers from 0 to 255, and disturbed.
//
// A picture here is {height, width, data}, data any array of numbers, rows first.
// biome-ignore-all lint/correctness/noUnusedVariables: page.js uses what is here.
"use strict";

const SIDE = 32;

// --- A picture of one's own ----------------------------------------------------------------------

// The mean of each square of factor x factor of an RGBA picture, weighted by its opacity; squares
// at the right and lower end may be smaller.
function reduce({ height, width, data }, factor) {
  const [rows, columns] = [Math.ceil(height / factor), Math.ceil(width / factor)];
  const sums = new Float64Array(rows * columns * 4);
  const counts = new Float64Array(rows * columns);
  for (let i = 0; i < height * width; i++) {
    const row = Math.floor(Math.floor(i / width) / factor);
    const to = row * columns + Math.floor((i % width) / factor);
    const opacity = data[4 * i + 3];
    for (let k = 0; k < 3; k++) sums[4 * to + k] += data[4 * i + k] * opacity;
    sums[4 * to + 3] += opacity;
    counts[to] += 1;
  }
  const reduced = sums.map((sum, i) => {
    const opacity = sums[i - (i % 4) + 3];
    if (i % 4 === 3) return Math.round(opacity / counts[(i - 3) / 4]);
    return opacity ? Math.round(sum / opacity) : 0;
  });
  return { height: rows, width: columns, data: reduced };
}

// An RGBA picture on white: RGB.
function onWhite({ height, width, data }) {
  const opaque = new Float64Array(height * width * 3);
  for (let i = 0; i < height * width; i++) {
    const opacity = data[4 * i + 3] / 255;
    for (let k = 0; k < 3; k++) {
      opaque[3 * i + k] = Math.round(255 + (data[4 * i + k] - 255) * opacity);
    }
  }
  return { height, width, data: opaque };
}

// Keys' cubic convolution with a = -1/2 (IEEE Trans. ASSP 29, 1981), which Pillow calls bicubic.
function cubic(x) {
  const t = Math.abs(x);
  if (t < 1) return (1.5 * t - 2.5) * t * t + 1;
  if (t < 2) return ((-0.5 * t + 2.5) * t - 4) * t + 2;
  return 0;
}

// For each of SIDE numbers, which of `length` numbers it is made of, in the middle `square` of
// them, and with which weights. Where the picture shrinks, the filter is as much wider.
function weightsOf(length, square) {
  const factor = square / SIDE;
  const reach = Math.max(factor, 1);
  return Array.from({ length: SIDE }, (_, i) => {
    const center = (length - square) / 2 + (i + 0.5) * factor;
    const first = Math.max(0, Math.floor(center - 2 * reach + 0.5));
    const last = Math.min(length, Math.floor(center + 2 * reach + 0.5));
    const weights = [];
    for (let k = first; k < last; k++) weights.push(cubic((k - center + 0.5) / reach));
    const total = weights.reduce((one, other) => one + other);
    return { first, weights: weights.map((weight) => weight / total) };
  });
}

// The central square of an RGB picture in 32 x 32, as Pillow's ImageOps.fit has it: first along
// the rows, then along the columns, rounded to whole numbers each time.
function fit({ height, width, data }) {
  const square = Math.min(height, width);
  const narrow = new Uint8ClampedArray(height * SIDE * 3);
  weightsOf(width, square).forEach(({ first, weights }, column) => {
    for (let row = 0; row < height; row++) {
      for (let k = 0; k < 3; k++) {
        const from = row * width + first;
        narrow[3 * (row * SIDE + column) + k] = Math.round(
          weights.reduce((sum, weight, i) => sum + weight * data[3 * (from + i) + k], 0),
        );
      }
    }
  });
  const small = new Uint8ClampedArray(SIDE * SIDE * 3);
  weightsOf(height, square).forEach(({ first, weights }, row) => {
    for (let i = 0; i < 3 * SIDE; i++) {
      small[3 * SIDE * row + i] = Math.round(
        weights.reduce((sum, weight, k) => sum + weight * narrow[3 * SIDE * (first + k) + i], 0),
      );
    }
  });
  return Uint8Array.from(small);
}

// --- Disturbances --------------------------------------------------------------------------------
// Each takes and gives pixels, 32 x 32 x 3 numbers; what is outside a picture is as its edge.

function at(pixels, row, column, channel) {
  const inside = (place) => Math.min(SIDE - 1, Math.max(0, place));
  return pixels[3 * (SIDE * inside(row) + inside(column)) + channel];
}

// function(row, column, channel) at each place.
function filled(value) {
  return Float64Array.from({ length: 3 * SIDE * SIDE }, (_, i) => {
    const place = Math.floor(i / 3);
    return value(Math.floor(place / SIDE), place % SIDE, i % 3);
  });
}

const DISTURBANCES = {
  // Right and down, in pixels.
  shift: (pixels, steps) => filled((row, column, k) => at(pixels, row - steps, column - steps, k)),

  // Around the middle, in degrees counter-clockwise, between four pixels by their nearness.
  rotation: (pixels, degrees) => {
    const [sin, cos] = [Math.sin((degrees * Math.PI) / 180), Math.cos((degrees * Math.PI) / 180)];
    const middle = (SIDE - 1) / 2;
    return filled((row, column, k) => {
      const [y, x] = [row - middle, column - middle];
      const [r, c] = [middle + cos * y + sin * x, middle - sin * y + cos * x];
      const [top, left] = [Math.floor(r), Math.floor(c)];
      const [down, right] = [r - top, c - left];
      return (
        (1 - down) * (1 - right) * at(pixels, top, left, k) +
        (1 - down) * right * at(pixels, top, left + 1, k) +
        down * (1 - right) * at(pixels, top + 1, left, k) +
        down * right * at(pixels, top + 1, left + 1, k)
      );
    });
  },

  // Gaussian, its standard deviation in pixels.
  blur: (pixels, deviation) => {
    if (!deviation) return pixels;
    const reach = Math.ceil(4 * deviation);
    const weights = Array.from({ length: 2 * reach + 1 }, (_, i) =>
      Math.exp(-((i - reach) ** 2) / (2 * deviation ** 2)),
    );
    const total = weights.reduce((one, other) => one + other);
    const mean = (value) =>
      weights.reduce((sum, weight, i) => sum + weight * value(i - reach), 0) / total;
    const across = filled((row, column, k) => mean((i) => at(pixels, row, column + i, k)));
    return filled((row, column, k) => mean((i) => at(across, row + i, column, k)));
  },

  // Gaussian, its standard deviation in grey values; the same at every call (Box and Muller 1958).
  noise: (pixels, deviation) => {
    const random = seeded(0);
    return pixels.map((pixel) => {
      const [one, other] = [1 - random(), random()];
      return pixel + deviation * Math.sqrt(-2 * Math.log(one)) * Math.cos(2 * Math.PI * other);
    });
  },

  // So many grey values more.
  brightness: (pixels, added) => pixels.map((pixel) => pixel + added),
};

// Pixels with all disturbances, {name: strength}, in the order above: whole numbers again.
function disturbed(pixels, strengths) {
  const result = Object.entries(DISTURBANCES).reduce(
    (before, [name, disturb]) => disturb(before, strengths[name] ?? 0),
    Float64Array.from(pixels),
  );
  return Uint8Array.from(Uint8ClampedArray.from(result));
}
