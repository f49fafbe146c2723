// The page: a digit, a distortion under the hand, and what the networks answer. Theta, grid and
// warped digit are what the networks say themselves; onnxruntime-web runs them, in this page.

import { listenToPad, offerDigits, pointed } from "./digits.js";
import { cluttered, DIGIT, distorted, nearestSimilarity } from "./geometry.js";
import { HANDS, lattice } from "./hands.js";

const STEP_PX = 0.5; // of an arrow key
const NUM_LINES = 10; // of the sampling grid, each way

const AGAIN = "make demo, or python -m stn.demo, makes it anew.";

const $ = (id) => document.getElementById(id);
const sessions = new Map(); // promises, by file
const now = { digit: new Float32Array(DIGIT * DIGIT) }; // column, network, hand, state, digit
let ort; // onnxruntime-web
let digits = []; // those on offer
let isStale = false;
let isAnswering = false;
let numAnswers = 0;
const times = [];

// ---- the answer ----

// Answer with the newest state, once at a time; what changes meanwhile is answered next.
async function changed() {
  isStale = true;
  if (isAnswering) return;
  isAnswering = true;
  document.body.ariaBusy = "true";
  try {
    while (isStale) {
      await new Promise(requestAnimationFrame);
      isStale = false;
      await answer();
    }
    say(""); // what failed before
  } catch (error) {
    say(`A network could not be run (${error.message}). If its file is not there: ${AGAIN}`);
  }
  isAnswering = false;
  document.body.ariaBusy = "false";
}

async function answer() {
  const { column, network, hand, state, digit } = now;
  const { side } = column;
  const compared = [column.networks[0], network];
  const both = await Promise.all(compared.map(({ file }) => session(file)));
  const start = performance.now();
  const toDigit = hand.toDigit(state);
  const image = cluttered(distorted(digit, toDigit, side), state.patches ?? [], side);
  const U = new ort.Tensor("float32", image, [1, 1, side, side]);
  const plain = await both[0].run({ U });
  const told = await both[1].run({ U });
  if (now.hand !== hand) return; // another column was chosen meanwhile: its answer is next
  paint($("input"), image, side);
  paint($("output"), told.V.data, told.V.dims[3]);
  drawHandles(hand.handles(state), side);
  drawOverlay(hand.lines(state), told.grid, side);
  const answers = [plain.probabilities.data, told.probabilities.data];
  showClasses(answers);
  showVerdicts(compared, answers);
  showTheta([...told.theta.data]);
  compare(0, nearestSimilarity(seenPairs(toDigit, side)));
  compare(1, nearestSimilarity(readPairs(told.grid, side)));
  showSpeed(performance.now() - start);
}

function session(file) {
  if (!sessions.has(file)) {
    const made = ort.InferenceSession.create(file);
    made.catch(() => sessions.delete(file)); // so that the next answer tries again
    sessions.set(file, made);
  }
  return sessions.get(file);
}

// Points of the digit, and where they are seen.
function seenPairs(toDigit, side) {
  const pairs = [];
  const half = (side - 1) / 2;
  for (let i = 0; i < side * side; i++) {
    const seen = [(i % side) - half, Math.floor(i / side) - half];
    const point = toDigit(seen);
    if (point && Math.max(...point.map(Math.abs)) < DIGIT / 2) pairs.push([point, seen]);
  }
  return pairs;
}

// Points of the transformer's output, and where they are read; those far outside are no part of it.
function readPairs({ data, dims: [, height, width] }, side) {
  const pairs = [];
  const half = (side - 1) / 2;
  for (let i = 0; i < height * width; i++) {
    const [x, y] = [data[2 * i] * half, data[2 * i + 1] * half];
    if (Math.max(Math.abs(x), Math.abs(y)) > 3 * half) continue;
    const target = [(2 * (i % width)) / (width - 1) - 1, (2 * Math.floor(i / width)) / (height - 1) - 1];
    pairs.push([[target[0] * half, target[1] * half], [x, y]]);
  }
  return pairs;
}

// ---- what is shown ----

function paint(canvas, values, side) {
  if (canvas.width !== side) canvas.width = canvas.height = side;
  const pixels = new ImageData(side, side);
  values.forEach((value, i) => pixels.data.set([255 * value, 255 * value, 255 * value, 255], 4 * i));
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

function drawHandles(points, side) {
  points.forEach(([x, y], i) => {
    const { style } = $("stage").querySelectorAll(".handle")[i];
    style.left = `${(100 * (x + side / 2)) / side}%`;
    style.top = `${(100 * (y + side / 2)) / side}%`;
  });
}

function drawOverlay(lines, { data, dims: [, height, width] }, side) {
  const of = (i, n) => Math.round((i * (n - 1)) / (NUM_LINES - 1));
  const read = Array.from({ length: NUM_LINES ** 2 }, (_, k) => {
    const i = of(Math.floor(k / NUM_LINES), height) * width + of(k % NUM_LINES, width);
    return [(data[2 * i] * (side - 1)) / 2, (data[2 * i + 1] * (side - 1)) / 2];
  });
  const grid = lattice(read, NUM_LINES);
  const border = [grid[0], grid[NUM_LINES - 1], grid[NUM_LINES], grid[2 * NUM_LINES - 1]];
  $("overlay").setAttribute("viewBox", `${-side / 2} ${-side / 2} ${side} ${side}`);
  $("outline").setAttribute("d", path(lines));
  $("grid").setAttribute("d", $("show-grid").checked ? path(grid) : "");
  $("frame").setAttribute("d", path(border));
  $("top").setAttribute("d", path([grid[0]]));
}

function path(lines) {
  const near = (value) => Math.min(Math.max(value, -1e4), 1e4).toFixed(2);
  return lines.map((line) => `M${line.map((point) => point.map(near).join(" ")).join("L")}`).join("");
}

function showClasses(answers) {
  answers.forEach((probabilities, i) => {
    const first = probabilities.indexOf(Math.max(...probabilities));
    probabilities.forEach((share, label) => {
      const cell = $("classes").tBodies[0].rows[label].cells[i + 1];
      cell.classList.toggle("first", label === first);
      cell.querySelector("i").style.width = `${100 * share}%`;
      cell.querySelector("b").textContent = (100 * share).toFixed(1);
    });
  });
}

// In a line what the table tells: on a small screen it is in sight while a hand drags.
function showVerdicts(compared, answers) {
  [...$("verdicts").children].forEach((line, i) => {
    const most = Math.max(...answers[i]);
    const parts = [`${compared[i].name} sees `, document.createElement("strong"), `, ${(100 * most).toFixed(1)} %`];
    parts[1].textContent = answers[i].indexOf(most);
    line.replaceChildren(...parts);
  });
}

function showTheta(theta) {
  const perRow = theta.length > 9 ? 8 : 3; // of a spline: four points in a row, x and y of each
  const entries = theta.length === 8 ? [...theta, 1] : theta;
  const body = $("theta").tBodies[0];
  const cells = entries.map((value) => short(value, 2));
  while (body.rows.length * perRow < cells.length) body.insertRow();
  while (body.rows.length * perRow > cells.length) body.deleteRow(-1);
  [...body.rows].forEach((row, i) => {
    while (row.cells.length < perRow) row.insertCell();
    while (row.cells.length > perRow) row.deleteCell(-1);
    [...row.cells].forEach((cell, j) => (cell.textContent = cells[i * perRow + j]));
  });
}

function compare(row, { angle, scale, x, y }) {
  const [turned, scaled, moved] = [...$("compared").tBodies[0].rows[row].cells].slice(1);
  turned.textContent = `${short(angle, 0)}°`;
  scaled.textContent = short(scale, 2);
  moved.textContent = `${short(x, 1)}, ${short(y, 1)}`;
}

function short(value, digits) {
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
}

// The median of the last answers: distortion, both networks, and drawing.
function showSpeed(ms) {
  times.push(ms);
  if (times.length > 50) times.shift();
  const median = times.toSorted((a, b) => a - b)[times.length >> 1];
  if (times.length > 4) $("speed").textContent = `${median.toFixed(1)} ms for an answer.`;
  Object.assign($("speed").dataset, { ms: median, answers: ++numAnswers });
}

function say(text) {
  $("message").textContent = text;
}

// ---- what can be chosen ----

function choose(column) {
  const hand = HANDS[column.kind](column.distortion, column.side, digits);
  Object.assign(now, { column, hand, state: hand.start });
  const [, ...transforms] = column.networks;
  const same = transforms.find(({ label }) => label === now.network?.label);
  offer($("transforms"), transforms, same ?? transforms[0], chooseNetwork);
  $("note").textContent = hand.note ?? "";
  makeHandles();
  makeSliders();
}

function chooseNetwork(network) {
  now.network = network;
  [now.column.networks[0], network].forEach(({ name, errorPercent }, i) => {
    const error = document.createElement("small");
    error.textContent = `test error ${errorPercent.toFixed(2)} %`;
    $("classes").tHead.rows[0].cells[i + 1].replaceChildren(name, error);
  });
  changed();
}

// Radio buttons in a fieldset; the chosen one is taken at once.
function offer(fieldset, options, chosen, take) {
  fieldset.querySelectorAll("label").forEach((label) => label.remove());
  for (const option of options) {
    const label = fieldset.appendChild(document.createElement("label"));
    const input = label.appendChild(document.createElement("input"));
    Object.assign(input, { type: "radio", name: fieldset.id, checked: option === chosen });
    input.addEventListener("change", () => take(option));
    label.appendChild(document.createElement("span")).textContent = option.label;
  }
  take(chosen);
}

function move(state) {
  now.state = state;
  for (const input of $("sliders").querySelectorAll("input")) {
    input.value = state[input.name];
    const isAngle = input.name === "angle";
    input.nextElementSibling.textContent = short(state[input.name], isAngle ? 0 : 2) + (isAngle ? "°" : "");
  }
  changed();
}

function makeHandles() {
  const { hand, column } = now;
  $("stage").querySelectorAll(".handle").forEach((handle) => handle.remove());
  hand.handles(hand.start).forEach((_, i) => {
    const handle = document.createElement("button");
    Object.assign(handle, { type: "button", className: "handle", ariaLabel: `Handle ${i + 1}, moved by arrow keys` });
    const to = (point) => move(hand.drag(now.state, i, point));
    handle.addEventListener("pointerdown", (event) => handle.setPointerCapture(event.pointerId));
    handle.addEventListener("pointermove", (event) => {
      if (handle.hasPointerCapture(event.pointerId)) to(pointed($("input"), event, column.side));
    });
    handle.addEventListener("keydown", (event) => {
      const [x, y] = hand.handles(now.state)[i];
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!step) return;
      event.preventDefault(); // of scrolling
      to([x + STEP_PX * step[0], y + STEP_PX * step[1]]);
    });
    $("stage").append(handle);
  });
}

function makeSliders() {
  $("sliders").replaceChildren();
  for (const [name, [min, max]] of Object.entries(now.hand.ranges)) {
    const label = document.createElement("label");
    label.append(name);
    const input = label.appendChild(document.createElement("input"));
    Object.assign(input, { type: "range", name, min, max, step: name === "angle" ? 1 : 0.01 });
    label.append(document.createElement("output"));
    input.addEventListener("input", () =>
      move(now.hand.kept({ ...now.state, [name]: Number(input.value) })),
    );
    $("sliders").append(label);
  }
  move(now.state);
}

// ---- the start ----

function makeClasses() {
  for (let label = 0; label < 10; label++) {
    const row = $("classes").tBodies[0].insertRow();
    const head = row.appendChild(document.createElement("th"));
    head.scope = "row";
    head.textContent = label;
    for (let i = 0; i < 2; i++) {
      const bar = row.insertCell().appendChild(document.createElement("div"));
      bar.append(document.createElement("i"), document.createElement("b"));
    }
  }
}

// What the folder has, or an error that says what of it is missing and what makes it.
async function part(name, load) {
  try {
    const found = await load();
    if (found) return found;
  } catch (error) {
    console.warn(error.message);
  }
  throw new Error(`${name} of this folder is missing or damaged: ${AGAIN}`);
}

async function start() {
  const columns = await part("networks.json", async () => {
    const found = await fetch("networks.json");
    const list = found.ok && (await found.json());
    return list && list.length ? list : null;
  });
  ort = await part("runtime/", () => import("./runtime/ort.wasm.min.mjs"));
  makeClasses();
  const take = (digit) => {
    now.digit = digit;
    if (now.network) changed();
  };
  listenToPad(take);
  digits = await offerDigits(take);
  offer($("columns"), columns, columns[0], choose);
  $("reset").addEventListener("click", () => move(now.hand.neutral));
  $("random").addEventListener("click", () => move(now.hand.any()));
  $("show-grid").addEventListener("change", changed);
  say("");
  document.querySelector("main").hidden = false;
}

start().catch((error) => say(`The demo could not be started: ${error.message}`));
