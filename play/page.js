// The page: what the reader does becomes one state; each net answers it in a worker of its own.
"use strict";

const payload = JSON.parse(document.getElementById("payload").textContent);
const SHORTER_SIDE = 256; // what a whole factor leaves at least, as inspection.load_picture has it
const element = (id) => document.getElementById(id);
element("payload").remove(); // megabytes of text

// What is asked: a picture, how it is changed, how the nets compute, what is looked at.
const state = {
  pixels: null, // before any change
  label: null, // class number, where it is known
  strengths: {},
  changed: null, // the pixels that the nets get
  temperature: 1,
  dropout: false,
  seed: 0, // of what dropout drops
  off: {}, // by net: {layer: set of channels}
  net: payload.nets[0].name, // whose inside is shown
  layer: null,
};

const SLIDERS = {
  shift: { most: 12, step: 1, unit: "pixels right and down" },
  rotation: { least: -90, most: 90, step: 5, unit: "degrees counter-clockwise" },
  blur: { most: 3, step: 0.25, unit: "pixels" },
  noise: { most: 80, step: 5, unit: "grey values" },
  brightness: { least: -120, most: 120, step: 10, unit: "grey values" },
};

function make(kind, properties = {}, ...children) {
  const made = Object.assign(document.createElement(kind), properties);
  made.append(...children);
  return made;
}

async function inflated(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// --- The nets, each in a worker -------------------------------------------------------------------

// What runs in a worker, after nets.js: it keeps one net and what its layers put out last.
function answerInWorker() {
  let net, outputs, pixels;
  const indexOf = (layer) => net.layers.findIndex(({ name }) => name === layer);
  const answers = {
    load({ description, bytes }) {
      net = unpack(description, bytes);
    },
    ask(question) {
      const random = question.dropout ? seeded(question.seed) : null;
      outputs = run(net, question.pixels, { random, off: question.off });
      pixels = question.pixels;
      const values = Array.from(logits(outputs));
      const best = values.indexOf(Math.max(...values));
      const where = contributions(net, outputs, best);
      return { logits: values, best, where, maps: outputs[indexOf(question.layer)] ?? null };
    },
    predict: (asked) => Array.from(logits(run(net, asked))),
    explain({ layer, filter, row, column }) {
      return explain(net, outputs, pixels, indexOf(layer), filter, row, column);
    },
  };
  self.onmessage = ({ data: { id, kind, content } }) => {
    try {
      self.postMessage({ id, answer: answers[kind](content) });
    } catch (error) {
      self.postMessage({ id, error: error.message });
    }
  };
}

const program = URL.createObjectURL(
  new Blob([`${element("nets-source").textContent}\n(${answerInWorker})();`]),
);

class Net {
  constructor(description) {
    this.description = description;
    this.worker = new Worker(program);
    this.waiting = new Map(); // by question: what takes its answer
    this.next = 0;
    this.broken = null;
    this.worker.onmessage = ({ data: { id, answer, error } }) => {
      const { resolve, reject } = this.waiting.get(id);
      this.waiting.delete(id);
      if (error === undefined) resolve(answer);
      else reject(new Error(error));
    };
    // It could not be started; otherwise its errors are answers.
    this.worker.onerror = ({ message }) => {
      this.broken = new Error(message || "its worker did not start");
      for (const { reject } of this.waiting.values()) reject(this.broken);
    };
    this.ready = this.load();
    this.ready.catch(() => {}); // whoever asks is told
  }

  async load() {
    const bytes = await inflated(this.description.bytes);
    this.description.bytes = null;
    await this.send("load", { description: this.description, bytes });
  }

  send(kind, content) {
    if (this.broken) return Promise.reject(this.broken);
    const id = this.next++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, kind, content });
    });
  }

  // One question at a time: what is asked meanwhile replaces what waits, so that an answer is
  // never older than one computation. show(question, answer), or fail(error).
  async ask(question, show, fail) {
    this.question = question;
    if (this.busy) return;
    this.busy = true;
    try {
      while (this.question) {
        const asked = this.question;
        this.question = null;
        try {
          await this.ready;
          const started = performance.now();
          const answer = await this.send("ask", asked);
          show(asked, { ...answer, milliseconds: performance.now() - started });
        } catch (error) {
          fail(error);
        }
      }
    } finally {
      this.busy = false;
    }
  }
}

const workers = Object.fromEntries(payload.nets.map((net) => [net.name, new Net(net)]));
Promise.allSettled(Object.values(workers).map(({ ready }) => ready)).then(() =>
  URL.revokeObjectURL(program),
);
const cards = {};

// The ten logits of a net, by its name in the package, for 32 x 32 x 3 pixels in a Uint8Array.
window.nets = {
  async predict(name, pixels) {
    await workers[name].ready;
    return workers[name].send("predict", pixels);
  },
};

// --- Drawing --------------------------------------------------------------------------------------

function drawPixels(canvas, pixels) {
  const image = new ImageData(32, 32);
  for (let i = 0; i < 32 * 32; i++) {
    image.data.set(pixels.subarray(3 * i, 3 * i + 3), 4 * i);
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// One channel of a map: blue above 0, orange below, white at 0; `most` has the full colour.
function drawChannel(canvas, { height, width, channels, data }, channel, most) {
  Object.assign(canvas, { height, width });
  const image = new ImageData(width, height);
  for (let i = 0; i < height * width; i++) {
    const share = Math.max(-1, Math.min(1, data[i * channels + channel] / most || 0));
    const full = share > 0 ? [0, 90, 148] : [196, 84, 0];
    full.forEach((value, k) => {
      image.data[4 * i + k] = 255 + Math.abs(share) * (value - 255);
    });
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

const largest = (numbers) => numbers.reduce((most, number) => Math.max(most, Math.abs(number)), 0);

function makeCard(net) {
  const bars = make("div", { className: "bars" });
  const rows = payload.classes.map((name) => {
    const [title, bar, share] = [make("span"), make("div", { className: "bar" }), make("span")];
    bars.append(title, make("div", {}, bar), share);
    return { name, title, bar, share };
  });
  const [photograph, overlay] = [0, 1].map(() => make("canvas", { width: 32, height: 32 }));
  const where = make("div", { className: "where" }, photograph, overlay);
  where.setAttribute("role", "img");
  const [verdict, note] = [make("p"), make("p", { className: "hint" })];
  element("answers").append(
    make(
      "article",
      { className: "net" },
      make("h3", { textContent: net.title }),
      make("p", {
        className: "hint",
        textContent: `${net.parameters.toLocaleString("en")} parameters`,
      }),
      verdict,
      bars,
      where,
      note,
    ),
  );
  return { title: net.title, rows, bars, photograph, overlay, where, verdict, note };
}

function showAnswer(name, question, answer) {
  cards[name].last = { question, answer };
  drawAnswer(cards[name]);
  showMaps(name, question.layer, answer.maps);
}

// The last answer of a card, at the temperature that is set.
function drawAnswer({ title, rows, bars, photograph, overlay, where, verdict, note, last }) {
  if (!last) return;
  const { label, pixels } = last.question;
  const { logits, best, where: map, milliseconds } = last.answer;
  const probabilities = softmax(logits, state.temperature);
  const percent = probabilities.map((probability) => `${(100 * probability).toFixed(0)}%`);
  rows.forEach((row, k) => {
    row.title.textContent = k === label ? `${row.name} (true)` : row.name;
    row.bar.style.width = `${100 * probabilities[k]}%`;
    row.bar.classList.toggle("true", k === label);
    row.share.textContent = percent[k];
  });
  const said = payload.classes[best];
  const right = best === label ? ", right" : ", wrong";
  say(title, verdict, `${said}, ${percent[best]}${label === null ? "" : right}`);
  bars.hidden = false;
  where.hidden = !map;
  const time = `${milliseconds.toFixed(0)} ms.`;
  if (!map) {
    note.textContent = `No map: what follows the last feature map is not linear. ${time}`;
    return;
  }
  drawPixels(photograph, pixels);
  drawChannel(overlay, map, 0, largest(map.data));
  const places = Array.from(map.data, (number) => number.toFixed(1));
  where.setAttribute(
    "aria-label",
    `what each part adds to the logit of ${said}: ${places.join(", ")}`,
  );
  note.textContent =
    `What each of ${map.height}×${map.width} parts adds to the logit of ${said} ` +
    `(${logits[best].toFixed(1)}), without the biases: from ${Math.min(...map.data).toFixed(1)} ` +
    `to ${Math.max(...map.data).toFixed(1)}. ${time}`;
}

function showError(name, { message }) {
  const { title, bars, where, verdict, note } = cards[name];
  cards[name].last = null;
  bars.hidden = where.hidden = true;
  note.textContent = "";
  say(title, verdict, `cannot be computed: ${message}`);
  if (name === state.net) clearInside();
}

let speaking; // a screen reader hears the answers once they stand still
function say(title, verdict, text) {
  verdict.textContent = text;
  verdict.dataset.spoken = `${title}: ${text}`;
  clearTimeout(speaking);
  speaking = setTimeout(() => {
    const verdicts = document.querySelectorAll("[data-spoken]");
    const all = Array.from(verdicts, ({ dataset }) => dataset.spoken).join(". ");
    if (element("spoken").textContent !== all) element("spoken").textContent = all;
  }, 700);
}

// --- Inside a net ---------------------------------------------------------------------------------

// The number that is explained, {net, layer, filter, row, column}; `kept` after a click: pointing at
// others then changes nothing.
let pointed = null;

// Which channels of the layer that is shown are switched off.
function switchedOff() {
  state.off[state.net] ??= {};
  state.off[state.net][state.layer] ??= new Set();
  return state.off[state.net][state.layer];
}

function flip(channel) {
  const off = switchedOff();
  if (!off.delete(channel)) off.add(channel);
  ask(state.net);
}

function clearInside() {
  element("maps").replaceChildren();
  forget();
}

function forget() {
  pointed = null;
  element("numbers").hidden = true;
  element("told").replaceChildren();
}

const isShown = (net, layer) => net === state.net && layer === state.layer;

function showMaps(net, layer, maps) {
  if (!maps || !isShown(net, layer)) return; // another was chosen meanwhile
  const shown = element("maps");
  const key = JSON.stringify([net, layer]);
  if (shown.dataset.key !== key || !shown.children.length) {
    shown.dataset.key = key;
    shown.replaceChildren(
      ...Array.from({ length: maps.channels }, (_, channel) => mapButton(net, layer, channel)),
    );
  }
  const most = largest(maps.data);
  const off = switchedOff();
  Array.from(shown.children).forEach((button, channel) => {
    drawChannel(button.firstChild, maps, channel, most);
    button.classList.toggle("off", off.has(channel));
    button.setAttribute("aria-pressed", off.has(channel));
  });
  if (pointed) explainNumber(pointed); // the same place, its new number
}

function mapButton(net, layer, filter) {
  const canvas = make("canvas");
  const button = make("button", { type: "button", className: "map" }, canvas);
  button.setAttribute("aria-label", `switch feature map ${filter + 1} off`);
  const explainAt = (row, column, kept) => {
    if (row < 0 || column < 0 || row >= canvas.height || column >= canvas.width) return;
    if (isShown(net, layer)) explainNumber({ net, layer, filter, row, column, kept });
  };
  const explainUnder = ({ offsetX, offsetY }, kept) =>
    explainAt(
      Math.floor((offsetY / canvas.clientHeight) * canvas.height),
      Math.floor((offsetX / canvas.clientWidth) * canvas.width),
      kept,
    );
  button.onpointermove = (event) => {
    if (!pointed?.kept) explainUnder(event, false);
  };
  button.onclick = (event) => {
    if (event.detail > 0) explainUnder(event, true);
    else if (isShown(net, layer)) flip(filter); // pressed by a key
  };
  button.onfocus = () => {
    if (!button.matches(":focus-visible")) return;
    explainAt(Math.floor(canvas.height / 2), Math.floor(canvas.width / 2), false);
  };
  return button;
}

async function explainNumber(place) {
  pointed = place;
  const { net, filter, row, column } = place;
  const said = await workers[net].send("explain", place);
  if (pointed !== place) return; // the reader looks elsewhere by now
  const grid = (numbers) => {
    const table = make("table");
    for (let i = 0; i < said.size; i++) {
      const cells = numbers.slice(i * said.size, (i + 1) * said.size);
      table.append(make("tr", {}, ...cells.map((n) => make("td", { textContent: n.toFixed(2) }))));
    }
    return table;
  };
  element("told").replaceChildren(
    make("h3", { textContent: `Feature map ${filter + 1}, row ${row + 1}, column ${column + 1}` }),
    make("p", {
      textContent:
        `The sum over ${said.channels} channels, with the bias ${said.bias.toFixed(2)}, is ` +
        `${said.total.toFixed(2)} before the activation. Channel ${said.channel + 1} counts most, ` +
        `${said.sum.toFixed(2)}: the sum of the products of`,
    }),
    make("p", { textContent: "its patch" }),
    grid(said.patch),
    make("p", { textContent: "and its part of the kernel" }),
    grid(said.weights),
  );
  element("numbers").hidden = false;
  element("off").checked = switchedOff().has(filter);
}

element("off").onchange = () => flip(pointed.filter);

// --- From state to answers ------------------------------------------------------------------------

// The picture or the nets are changed: all are asked anew, and dropout drops others.
function update() {
  if (!state.pixels) return;
  state.seed += 1;
  state.changed = disturbed(state.pixels, state.strengths);
  drawPixels(element("picture"), state.changed);
  const truth = state.label === null ? "a picture of yours" : payload.classes[state.label];
  element("truth").textContent = truth;
  element("picture").setAttribute("aria-label", `the picture: ${truth}`);
  Object.keys(workers).forEach(ask);
}

function ask(name) {
  if (!state.pixels) return;
  const { changed: pixels, label, dropout, seed } = state;
  const layer = name === state.net ? state.layer : null;
  workers[name].ask(
    { pixels, label, dropout, seed, off: state.off[name] ?? {}, layer },
    (question, answer) => showAnswer(name, question, answer),
    (error) => showError(name, error),
  );
}

let choices = 0; // a picture that is decoded slowly must not replace a later choice

function choose(pixels, label, pressed = null) {
  choices += 1;
  tell("");
  show(pixels, label, pressed);
}

function show(pixels, label, pressed) {
  Object.assign(state, { pixels, label });
  for (const button of element("thumbnails").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", button === pressed);
  }
  update();
}

function tell(text, busy = false) {
  element("message").textContent = text;
  element("input").ariaBusy = busy;
}

// --- A picture of one's own -----------------------------------------------------------------------

// The central square of a decoded picture in 32 x 32. Strip by strip, so that a large one fits.
function shrunk(bitmap) {
  const side = Math.min(bitmap.width, bitmap.height);
  const [left, top] = [bitmap.width, bitmap.height].map((length) =>
    Math.floor((length - side) / 2),
  );
  const [width, height] = [bitmap.width - 2 * left, bitmap.height - 2 * top];
  const factor = Math.max(1, Math.floor(side / SHORTER_SIDE));
  const parts = [];
  for (let row = 0; row < height; row += 8 * factor) {
    const rows = Math.min(8 * factor, height - row);
    const context = new OffscreenCanvas(width, rows).getContext("2d");
    context.drawImage(bitmap, -left, -top - row);
    parts.push(
      reduce({ height: rows, width, data: context.getImageData(0, 0, width, rows).data }, factor),
    );
  }
  const data = parts.flatMap((part) => Array.from(part.data));
  const rows = parts.reduce((sum, part) => sum + part.height, 0);
  return fit(onWhite({ height: rows, width: parts[0].width, data }));
}

async function take(file) {
  if (!file) {
    tell("what was dropped or pasted is no file; take a picture from a folder");
    return;
  }
  choices += 1;
  const choice = choices;
  const name = file.name || "what was pasted";
  tell(`reading ${name} …`, true);
  // Turned as the file says; colours as they are stored.
  const stored = { imageOrientation: "from-image", colorSpaceConversion: "none" };
  const bitmap = await createImageBitmap(file, stored).catch(() => null);
  if (choice !== choices) {
    bitmap?.close();
  } else if (bitmap) {
    try {
      choose(shrunk(bitmap), null);
    } finally {
      bitmap.close();
    }
  } else {
    tell(`${name} is no picture that this browser can read; save it as PNG or JPEG`);
  }
}

element("file").onchange = ({ target }) => {
  if (target.files.length) take(target.files[0]);
  target.value = ""; // so that the same file can be chosen again
};
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  take(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => take(event.clipboardData.files[0]));

// --- Controls -------------------------------------------------------------------------------------

// A slider with its number in words; use(number) when it is moved. Returns what sets it back.
function addSlider(place, name, { least = 0, most, step, unit = "", normal = 0 }, use) {
  const words = make("span", { ariaHidden: "true" }); // said as the slider's value
  const input = make("input", { type: "range", id: name, min: least, max: most, step });
  input.autocomplete = "off"; // a reload begins anew
  const showNumber = () => {
    input.ariaValueText = words.textContent = `${input.value} ${unit}`;
  };
  const setBack = () => {
    input.value = normal;
    showNumber();
  };
  input.oninput = () => {
    showNumber();
    use(Number(input.value));
  };
  setBack();
  place.append(make("label", {}, `${name} `, words, input));
  return setBack;
}

const sliders = Object.entries(SLIDERS).map(([name, settings]) =>
  addSlider(element("sliders"), name, settings, (number) => {
    state.strengths[name] = number;
    update();
  }),
);
const temperature = { least: 0.25, most: 4, step: 0.25, normal: 1 };
sliders.push(
  addSlider(element("for-temperature"), "temperature", temperature, (number) => {
    state.temperature = number;
    Object.values(cards).forEach(drawAnswer);
  }),
);
element("dropout").onchange = ({ target }) => {
  state.dropout = target.checked;
  update();
};
element("reset").onclick = () => {
  for (const setBack of sliders) setBack();
  element("dropout").checked = false;
  Object.assign(state, { strengths: {}, temperature: 1, dropout: false, off: {} });
  update();
};

element("inside-net").append(
  ...payload.nets.map(({ name, title }) => make("option", { value: name, textContent: title })),
);
element("inside-net").onchange = ({ target }) => {
  state.net = target.value;
  listLayers();
  look(state.layer);
};
element("inside-layer").onchange = ({ target }) => look(target.value);

function look(layer) {
  state.layer = layer;
  forget();
  ask(state.net);
}

function listLayers() {
  const convolutions = workers[state.net].description.layers.filter(
    ({ kind }) => kind === "convolution",
  );
  element("inside-layer").replaceChildren(
    ...convolutions.map(({ name }) => make("option", { value: name, textContent: name })),
  );
  state.layer = convolutions[0].name;
}

function showFoot() {
  const head = [
    "network",
    "parameters",
    "test accuracy",
    "with weights rounded to a byte",
    "test images",
  ];
  const rows = payload.nets.map(({ title, parameters, accuracy }) => [
    title,
    parameters.toLocaleString("en"),
    ...(accuracy
      ? [
          ...[accuracy.recorded, accuracy.rounded].map((share) => `${(100 * share).toFixed(2)}%`),
          accuracy.images.toLocaleString("en"),
        ]
      : ["not measured", "not measured", ""]),
  ]);
  element("foot").append(
    make(
      "table",
      {},
      make("tr", {}, ...head.map((text) => make("th", { textContent: text }))),
      ...rows.map((row) => make("tr", {}, ...row.map((text) => make("td", { textContent: text })))),
    ),
  );
}

async function start() {
  for (const net of payload.nets) cards[net.name] = makeCard(net);
  listLayers();
  showFoot();
  const images = await inflated(payload.images);
  payload.images = null;
  const buttons = payload.labels.map((label, i) => {
    const pixels = images.subarray(3072 * i, 3072 * (i + 1));
    const canvas = make("canvas", { width: 32, height: 32 });
    drawPixels(canvas, pixels);
    const button = make("button", { type: "button" }, canvas);
    button.setAttribute("aria-label", `${payload.classes[label]}, test image ${i + 1}`);
    button.onclick = () => choose(pixels, label, button);
    return button;
  });
  element("thumbnails").append(...buttons);
  if (!state.pixels) show(images.subarray(0, 3072), payload.labels[0], buttons[0]);
}

start();
