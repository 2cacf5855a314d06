// The page: what the reader does becomes one state; each net answers it in a worker of its own.
"use strict";

const payload = JSON.parse(document.getElementById("payload").textContent);
const SHORTER_SIDE = 256; // what a whole factor leaves at least, as inspection.load_picture has it
const element = (id) => document.getElementById(id);

// What is asked: a picture, how it is changed, how the nets compute, what is looked at.
const state = {
  pixels: null, // before any change
  label: null, // class number, where it is known
  strengths: {},
  temperature: 1,
  dropout: false,
  off: {}, // by net: {layer: set of channels}
  net: payload.nets[0].name, // whose inside is shown
  layer: null,
};

const SLIDERS = {
  shift: { most: 12, step: 1, unit: "pixels" },
  rotation: { least: -90, most: 90, step: 5, unit: "degrees" },
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
  const answers = {
    load({ description, bytes }) {
      net = unpack(description, bytes);
    },
    ask({ asked, dropout, off, layer }) {
      pixels = asked;
      outputs = run(net, pixels, { random: dropout ? Math.random : null, off });
      const values = Array.from(logits(outputs));
      const best = values.indexOf(Math.max(...values));
      const index = net.layers.findIndex(({ name }) => name === layer);
      const where = contributions(net, outputs, best);
      return { logits: values, best, where, maps: outputs[index] ?? null };
    },
    explain({ layer, filter, row, column }) {
      const index = net.layers.findIndex(({ name }) => name === layer);
      return explain(net, outputs, pixels, index, filter, row, column);
    },
  };
  self.onmessage = ({ data: { id, kind, content } }) => {
    self.postMessage({ id, answer: answers[kind](content) });
  };
}

class Net {
  constructor(description) {
    this.description = description;
    const source = `${element("nets-source").textContent}\n(${answerInWorker})();`;
    this.worker = new Worker(URL.createObjectURL(new Blob([source])));
    this.waiting = new Map();
    this.next = 0;
    this.worker.onmessage = ({ data: { id, answer } }) => {
      this.waiting.get(id)(answer);
      this.waiting.delete(id);
    };
    this.ready = inflated(description.bytes).then((bytes) =>
      this.send("load", { description: { ...description, bytes: null }, bytes }),
    );
  }

  send(kind, content) {
    const id = this.next++;
    this.worker.postMessage({ id, kind, content });
    return new Promise((resolve) => this.waiting.set(id, resolve));
  }

  // One question at a time: what is asked meanwhile replaces what waits, so that an answer is
  // never older than one computation.
  async ask(question, use) {
    this.question = { question, use };
    if (this.busy) return;
    this.busy = true;
    await this.ready;
    while (this.question) {
      const { question: asked, use: taken } = this.question;
      this.question = null;
      const started = performance.now();
      const answer = await this.send("ask", asked);
      taken({ ...answer, milliseconds: performance.now() - started });
    }
    this.busy = false;
  }
}

const workers = Object.fromEntries(payload.nets.map((net) => [net.name, new Net(net)]));
const cards = {};

// The ten logits of a net, by its name in the package, for 32 x 32 x 3 pixels in a Uint8Array.
window.nets = {
  names: Object.keys(workers),
  async predict(name, pixels) {
    await workers[name].ready;
    const question = { asked: pixels, dropout: false, off: {}, layer: null };
    return (await workers[name].send("ask", question)).logits;
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
    const bar = make("div", { className: "bar" });
    const share = make("span");
    bars.append(make("span", { textContent: name }), make("div", {}, bar), share);
    return { bar, share };
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
  return { rows, photograph, overlay, where, verdict, note };
}

function showAnswer(name, pixels, answer) {
  const card = cards[name];
  const probabilities = softmax(answer.logits, state.temperature);
  probabilities.forEach((probability, label) => {
    const { bar, share } = card.rows[label];
    bar.style.width = `${100 * probability}%`;
    bar.classList.toggle("true", label === state.label);
    share.textContent = `${(100 * probability).toFixed(0)}%`;
  });
  const said = payload.classes[answer.best];
  const right = answer.best === state.label ? ", right" : ", wrong";
  const sure = `${(100 * probabilities[answer.best]).toFixed(0)}%`;
  card.verdict.textContent = `${said}, ${sure}${state.label === null ? "" : right}`;
  const { where } = answer;
  drawPixels(card.photograph, pixels);
  drawChannel(card.overlay, where, 0, largest(where.data));
  const places = Array.from(where.data, (number) => number.toFixed(1));
  card.where.setAttribute(
    "aria-label",
    `what each part adds to the logit of ${said}: ${places.join(", ")}`,
  );
  card.note.textContent =
    `What each of ${where.height}×${where.width} parts adds to the logit of ${said} ` +
    `(${answer.logits[answer.best].toFixed(1)}): from ${Math.min(...where.data).toFixed(1)} to ` +
    `${Math.max(...where.data).toFixed(1)}; blue adds, orange takes away. ` +
    `${answer.milliseconds.toFixed(0)} ms.`;
  card.answer = `${workers[name].description.title}: ${card.verdict.textContent}`;
  if (name === state.net) showMaps(answer.maps);
  speakSoon();
}

let speaking; // a screen reader hears the answers once they stand still
function speakSoon() {
  clearTimeout(speaking);
  speaking = setTimeout(() => {
    element("spoken").textContent = Object.values(cards)
      .map(({ answer }) => answer)
      .join(". ");
  }, 700);
}

// Which channels of the layer that is shown are switched off.
function switchedOff() {
  state.off[state.net] ??= {};
  state.off[state.net][state.layer] ??= new Set();
  return state.off[state.net][state.layer];
}

function showMaps(maps) {
  if (!maps) return;
  const shown = element("maps");
  const off = switchedOff();
  const key = `${state.net} ${state.layer}`;
  if (shown.dataset.key !== key) {
    shown.dataset.key = key;
    shown.replaceChildren(
      ...Array.from({ length: maps.channels }, (_, channel) => mapButton(channel)),
    );
  }
  const most = largest(maps.data);
  Array.from(shown.children).forEach((button, channel) => {
    drawChannel(button.firstChild, maps, channel, most);
    button.classList.toggle("off", off.has(channel));
    button.setAttribute("aria-pressed", off.has(channel));
  });
}

function mapButton(channel) {
  const button = make("button", { type: "button", className: "map" }, make("canvas"));
  button.setAttribute("aria-label", `feature map ${channel + 1}; press to switch it off or on`);
  button.onclick = () => {
    const off = switchedOff();
    if (!off.delete(channel)) off.add(channel);
    update();
  };
  button.onpointermove = ({ offsetX, offsetY }) => {
    const canvas = button.firstChild;
    const column = Math.floor((offsetX / canvas.clientWidth) * canvas.width);
    const row = Math.floor((offsetY / canvas.clientHeight) * canvas.height);
    if (row < 0 || column < 0 || row >= canvas.height || column >= canvas.width) return;
    explainNumber(channel, row, column);
  };
  button.onfocus = () => {
    const canvas = button.firstChild;
    explainNumber(channel, Math.floor(canvas.height / 2), Math.floor(canvas.width / 2));
  };
  return button;
}

async function explainNumber(filter, row, column) {
  const layer = state.layer;
  const said = await workers[state.net].send("explain", { layer, filter, row, column });
  if (layer !== state.layer) return;
  const grid = (numbers) => {
    const table = make("table");
    for (let i = 0; i < said.size; i++) {
      const cells = numbers.slice(i * said.size, (i + 1) * said.size);
      table.append(make("tr", {}, ...cells.map((n) => make("td", { textContent: n.toFixed(2) }))));
    }
    return table;
  };
  element("numbers").replaceChildren(
    make("h3", { textContent: `Feature map ${filter + 1}, row ${row + 1}, column ${column + 1}` }),
    make("p", {
      textContent:
        `The sum over ${said.channels} channels, with the bias ${said.bias.toFixed(2)}, is ` +
        `${said.total.toFixed(2)} before the activation. Channel ${said.channel + 1} adds most, ` +
        `${said.sum.toFixed(2)}: the sum of the products of`,
    }),
    make("p", { textContent: "its patch" }),
    grid(said.patch),
    make("p", { textContent: "and its part of the kernel" }),
    grid(said.weights),
  );
}

// --- From state to answers ------------------------------------------------------------------------

function update() {
  const pixels = disturbed(state.pixels, state.strengths);
  drawPixels(element("picture"), pixels);
  const truth = state.label === null ? "a picture of yours" : payload.classes[state.label];
  element("truth").textContent = truth;
  element("picture").setAttribute("aria-label", `the picture: ${truth}`);
  for (const [name, net] of Object.entries(workers)) {
    const layer = name === state.net ? state.layer : null;
    const question = { asked: pixels, dropout: state.dropout, off: state.off[name] ?? {}, layer };
    net.ask(question, (answer) => showAnswer(name, pixels, answer));
  }
}

function choose(pixels, label, pressed = null) {
  Object.assign(state, { pixels, label });
  element("message").textContent = "";
  for (const button of element("thumbnails").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", button === pressed);
  }
  update();
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
  if (!file) return;
  element("input").ariaBusy = "true";
  try {
    // Turned as the file says; colours as they are stored.
    const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
    choose(shrunk(bitmap), null);
    bitmap.close();
  } catch {
    const name = file.name || "what was pasted";
    element("message").textContent =
      `${name} is no picture that this browser can read; save it as PNG or JPEG`;
  }
  element("input").ariaBusy = "false";
}

element("file").onchange = ({ target }) => take(target.files[0]);
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  take(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => take(event.clipboardData.files[0]));

// --- Controls -------------------------------------------------------------------------------------

for (const [name, { least = 0, most, step, unit }] of Object.entries(SLIDERS)) {
  const [value, word] = [
    make("output", { textContent: "0" }),
    make("span", { textContent: ` ${unit}` }),
  ];
  const input = make("input", { type: "range", id: name, min: least, max: most, step, value: 0 });
  input.oninput = () => {
    state.strengths[name] = Number(input.value);
    value.textContent = input.value;
    update();
  };
  element("sliders").append(make("label", {}, `${name} `, value, word, input));
}

element("temperature").oninput = ({ target }) => {
  state.temperature = Number(target.value);
  element("temperature-value").textContent = target.value;
  update();
};
element("dropout").onchange = ({ target }) => {
  state.dropout = target.checked;
  update();
};
element("reset").onclick = () => {
  for (const input of document.querySelectorAll("input[type=range]")) {
    input.value = input.id === "temperature" ? 1 : 0;
    input.oninput({ target: input });
  }
  element("dropout").checked = state.dropout = false;
  state.off = {};
  update();
};

element("inside-net").append(
  ...payload.nets.map(({ name, title }) => make("option", { value: name, textContent: title })),
);
element("inside-net").onchange = ({ target }) => {
  state.net = target.value;
  listLayers();
  update();
};
element("inside-layer").onchange = ({ target }) => {
  state.layer = target.value;
  update();
};

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
    "images",
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
  buttons[0].onclick();
}

start();
