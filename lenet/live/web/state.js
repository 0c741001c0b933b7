// What the page shows at the moment. Each change asks for one new drawing, in the next frame.

const state = {
  shown: RUNS.slice(0, 4).map((run) => run.number), // The runs next to each other, at most four.
  narrow: 0, // On a narrow screen: which of them is shown, as an index of `shown`.
  step: ALL_STEPS.at(-1),
  picture: null, // What the user drew, chose or dropped, before its preparation.
  stages: [],
  prepared: null, // Bytes for the network, before the sliders of "What if" move them.
  pixels: null, // Bytes for the network.
  label: null, // The true class, if it is known.
  change: { right: 0, down: 0, turn: 0, thick: 0 },
  off: RUNS.map(() => ({})), // By run: what is switched off, as `forward` takes it.
  pointed: null, // The value that is explained; see closer.js.
  pinned: false,
  results: new Map(), // By run: the network's values for the image.
};
const MAXIMUM_SHOWN = 4;

let requested = null; // The earliest event that the next frame answers, or null.
const answerTimes = []; // From an event to the drawn answer, in milliseconds.

// Asks for a new drawing. `kind` is "picture", "network" or "look", from most to least work.
const pending = new Set();
function refresh(kind, event) {
  pending.add(kind);
  if (requested !== null) return;
  requested = event?.timeStamp ?? 0;
  requestAnimationFrame(() => {
    const since = requested;
    const kinds = new Set(pending);
    requested = null;
    pending.clear();
    draw(kinds);
    if (since) answerTimes.push(performance.now() - since);
  });
}

function compute() {
  state.results.clear();
  if (!state.pixels) return;
  const input = toInput(state.pixels, DATA.data.mean);
  for (const number of state.shown) {
    const run = RUNS[number];
    const weights = weightsAt(run, recordedStep(run, state.step));
    const outputs = forward(run.plan, weights, input, state.off[number]);
    const logits = outputs.at(-1).after;
    const probabilities = softmax(logits);
    const best = probabilities.indexOf(Math.max(...probabilities));
    state.results.set(number, { input, weights, outputs, logits, probabilities, best });
  }
}

const SLICE_TIME = 12; // Milliseconds of long work before the page may react again.

// Runs long work, a generator, in short slices, so that drawing stays fluent. Returns a function
// that stops it.
function inSlices(work, delay = 0) {
  let stopped = false;
  const slice = () => {
    const end = performance.now() + SLICE_TIME;
    while (!stopped && performance.now() < end) if (work.next().done) return;
    if (!stopped) setTimeout(slice, 4);
  };
  setTimeout(slice, delay);
  return () => (stopped = true);
}

// Small tools for elements. Text is always set as text, so class names and labels cannot be HTML.
const element = (id) => document.getElementById(id);
function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) {
      node.setAttribute(name, value === true ? "" : value);
    }
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}
function makeSvg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// Numbers for a reader.
const minus = (text) => text.replace("-", "−");
function figure(value, digits = 3) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e5 || (digits > 2 && size < 10 ** -digits / 2)) return minus(value.toExponential(1));
  return minus(value.toFixed(size >= 100 ? 1 : size >= 10 ? Math.min(2, digits) : digits));
}
function percentage(share) {
  if (share > 0.9995 && share < 1) return "> 99.9 %";
  if (share < 0.0005 && share > 0) return "< 0.1 %";
  return `${(100 * share).toFixed(1)} %`;
}
const thousands = (number) => number.toLocaleString("en-US");
