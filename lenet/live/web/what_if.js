// "What if": switch off parts of the network, and move or thicken the image.

const QUIET_TIME = 250; // Milliseconds without a change before the counting begins.

const CHANGES = {
  right: { name: "shift right", low: -10, high: 10, step: 0.5, unit: "pixels" },
  down: { name: "shift down", low: -10, high: 10, step: 0.5, unit: "pixels" },
  turn: { name: "rotate", low: -90, high: 90, step: 3, unit: "degrees" },
  thick: { name: "thicken", low: -2, high: 2, step: 0.2, unit: "pixels" },
};
let curveOf = "turn"; // The slider whose curves are drawn.

function switchUnit(run, name, unit) {
  const off = (state.off[run.number][name] ??= { units: new Set(), bias: false });
  if (!off.units.delete(unit)) off.units.add(unit);
  refresh("network");
}

function switchBias(name, runs) {
  const toOff = runs.some((run) => !state.off[run.number][name]?.bias);
  for (const run of runs) {
    const off = (state.off[run.number][name] ??= { units: new Set(), bias: false });
    off.bias = toOff;
  }
  const button = document.querySelector(`#band-${CSS.escape(name)} .bias`);
  button.textContent = toOff ? "Bias is off" : "Switch bias off";
  button.setAttribute("aria-pressed", toOff);
  refresh("network");
}

function switchAllOn() {
  state.off = RUNS.map(() => ({}));
  for (const button of document.querySelectorAll(".bias")) {
    button.textContent = "Switch bias off";
    button.setAttribute("aria-pressed", false);
  }
  refresh("network");
}

const isChanged = (off) => Object.values(off).some((layer) => layer.bias || layer.units.size);
function offWords(off) {
  const parts = [];
  for (const [name, { units, bias }] of Object.entries(off)) {
    if (units.size) parts.push(`${name} ${[...units].sort((a, b) => a - b).join(", ")}`);
    if (bias) parts.push(`bias of ${name}`);
  }
  return parts.join("; ");
}

// The accuracy over the sample is counted in short slices, so that drawing stays fluent.
const accuracies = new Map(); // By run, step and what is off.
let stopCounting = () => {};

// Names a network: its run, its step, and what is switched off.
const networkKey = (run, off) => JSON.stringify([run.number, recordedStep(run, state.step), Object.entries(off).map(([name, { units, bias }]) => [name, [...units].sort(), bias])]);

function scheduleCounting() {
  stopCounting();
  if (!film) stopCounting = inSlices(countAll(accuracyTasks()), QUIET_TIME);
}

// The networks whose accuracy is not known yet.
function accuracyTasks() {
  const tasks = new Map();
  for (const run of shownRuns()) {
    for (const off of [{}, state.off[run.number]]) {
      const normal = isChanged(off) ? off : {};
      const key = networkKey(run, normal);
      if (!accuracies.has(key)) tasks.set(key, { key, run, off: structuredClone(normal), step: recordedStep(run, state.step) });
    }
  }
  return [...tasks.values()];
}

function* countAll(tasks) {
  for (const { key, run, off, step } of tasks) {
    const weights = weightsAt(run, step);
    let right = 0;
    for (const [at, { pixels, label }] of SAMPLE.entries()) {
      const logits = forward(run.plan, weights, toInput(pixels, DATA.data.mean), off).at(-1).after;
      right += logits.indexOf(Math.max(...logits)) === label;
      if (at % 10 === 9) drawAccuracies(`${at + 1} of ${SAMPLE.length}`);
      yield;
    }
    accuracies.set(key, right / SAMPLE.length);
    drawAccuracies();
  }
}

function drawAccuracies(progress = "") {
  for (const run of shownRuns()) {
    const off = state.off[run.number];
    const whole = accuracies.get(networkKey(run, {}));
    const node = answerParts[run.number].accuracy;
    const words = (share) => (share === undefined ? "…" : percentage(share));
    node.replaceChildren(`${words(whole)} of ${SAMPLE.length} test images right`);
    if (isChanged(off)) {
      const now = accuracies.get(networkKey(run, off));
      node.replaceChildren(`${words(whole)} → `, make("b", { class: "now" }, now === undefined && progress ? progress : words(now)), ` of ${SAMPLE.length} test images. `, make("span", { class: "off" }, `Off: ${offWords(off)}. `), make("button", { type: "button", class: "all-on", onclick: switchAllOn }, "Switch all on"));
    }
  }
}

// --- The sliders that move the image ---

function whatIfBands(runs) {
  const sliders = Object.entries(CHANGES).map(([name, { name: title, low, high, step, unit }]) => {
    const output = make("output", {}, `0 ${unit}`);
    const input = make("input", { type: "range", min: low, max: high, step, id: `change-${name}` });
    input.value = state.change[name];
    input.addEventListener("input", (event) => {
      state.change[name] = Number(input.value);
      output.textContent = `${minus(String(Number(input.value)))} ${unit}`;
      curveOf = name;
      refresh("picture", event);
    });
    output.textContent = `${minus(String(state.change[name]))} ${unit}`;
    return make("label", {}, title, output, input);
  });
  const reset = make("button", { type: "button", id: "change-reset", onclick: () => {
    for (const name of Object.keys(CHANGES)) {
      state.change[name] = 0;
      const input = element(`change-${name}`);
      input.value = 0;
      input.previousElementSibling.textContent = `0 ${CHANGES[name].unit}`;
    }
    refresh("picture");
  } }, "Reset");
  const cells = runs.map((run) => make("div", { class: "cell" }, makeSvg("svg", { class: "plot sensitivity", "data-run": run.number, role: "img" })));
  const node = band("whatif", "What if the image were different?", "",
    "Move the network's image after its preparation, and see how sure the network stays. The curves show the probability of " +
    "each class for every position of the slider that you moved last.", cells, reset);
  node.querySelector(".cells").before(make("div", { class: "sliders" }, ...sliders));
  return [node];
}

// The image after the sliders: thickened, then rotated around its middle, then shifted.
function changedPixels(pixels, { right, down, turn, thick }) {
  if (!pixels || !(right || down || turn || thick)) return pixels;
  const source = thick ? thickened(pixels, thick) : pixels;
  if (!(right || down || turn)) return source;
  const angle = (-turn * Math.PI) / 180;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const [middleY, middleX] = [(HEIGHT - 1) / 2, (WIDTH - 1) / 2];
  const result = new Uint8Array(pixels.length);
  for (let y = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH; x++) {
      const [dy, dx] = [y - down - middleY, x - right - middleX];
      const [fromX, fromY] = [cos * dx - sin * dy + middleX, sin * dx + cos * dy + middleY];
      for (let channel = 0; channel < CHANNELS; channel++) {
        result[(y * WIDTH + x) * CHANNELS + channel] = Math.round(between(source, fromY, fromX, channel));
      }
    }
  }
  return result;
}

// The brightness between four pixels; outside the image it is 0.
function between(pixels, y, x, channel) {
  const [top, left] = [Math.floor(y), Math.floor(x)];
  let sum = 0;
  for (const [row, rowShare] of [[top, 1 - y + top], [top + 1, y - top]]) {
    for (const [column, share] of [[left, 1 - x + left], [left + 1, x - left]]) {
      if (row < 0 || row >= HEIGHT || column < 0 || column >= WIDTH) continue;
      sum += rowShare * share * pixels[(row * WIDTH + column) * CHANNELS + channel];
    }
  }
  return sum;
}

// Replaces each pixel by the brightest (or for negative `steps` the darkest) of its neighbours, as
// often as `steps` says. A part of a step mixes both images.
function thickened(pixels, steps) {
  const pick = steps > 0 ? Math.max : Math.min;
  let values = pixels;
  for (let rest = Math.abs(steps); rest > 1e-9; rest -= 1) {
    const share = Math.min(1, rest);
    const next = new Uint8Array(values.length);
    for (let i = 0; i < values.length; i++) {
      const pixel = Math.floor(i / CHANNELS);
      const [y, x] = [Math.floor(pixel / WIDTH), pixel % WIDTH];
      let best = values[i];
      if (y > 0) best = pick(best, values[i - WIDTH * CHANNELS]);
      if (y < HEIGHT - 1) best = pick(best, values[i + WIDTH * CHANNELS]);
      if (x > 0) best = pick(best, values[i - CHANNELS]);
      if (x < WIDTH - 1) best = pick(best, values[i + CHANNELS]);
      next[i] = Math.round(values[i] + share * (best - values[i]));
    }
    values = next;
  }
  return values;
}

let stopSensitivity = () => {};
function scheduleSensitivity() {
  stopSensitivity();
  if (!state.prepared) drawSensitivity([]);
  else if (!film) stopSensitivity = inSlices(computeSensitivity(), 60);
}

// Computes the probabilities at 25 positions of the slider that was moved last, then draws them.
function* computeSensitivity() {
  const { low, high } = CHANGES[curveOf];
  const points = [];
  for (const run of visibleRuns()) {
    const weights = weightsAt(run, recordedStep(run, state.step));
    for (let i = 0; i <= 24; i++) {
      const at = low + ((high - low) * i) / 24;
      const pixels = changedPixels(state.prepared, { ...state.change, [curveOf]: at });
      const logits = forward(run.plan, weights, toInput(pixels, DATA.data.mean), state.off[run.number]).at(-1).after;
      points.push({ number: run.number, at, probabilities: softmax(logits) });
      yield;
    }
  }
  drawSensitivity(points);
}

function drawSensitivity(curves) {
  for (const svg of document.querySelectorAll(".sensitivity")) {
    const own = curves.filter(({ number }) => number === Number(svg.dataset.run));
    const { low, high, name, unit } = CHANGES[curveOf];
    const [width, height] = [Math.max(260, svg.parentElement.clientWidth || 600), 190];
    const box = { left: 34, right: width - 12, top: 22, bottom: height - 24 };
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.style.height = `${height}px`;
    const x = (at) => box.left + ((at - low) / (high - low)) * (box.right - box.left);
    const y = (share) => box.bottom - share * (box.bottom - box.top);
    const words = (at, place, content, anchor = "middle") => makeSvg("text", { x: at, y: place, "text-anchor": anchor }, content);
    const nodes = [0, 0.5, 1].flatMap((share) => [
      makeSvg("line", { class: "axis", x1: box.left, x2: box.right, y1: y(share), y2: y(share) }),
      words(box.left - 5, y(share) + 3, `${100 * share} %`, "end"),
    ]);
    for (const at of [low, 0, high]) nodes.push(words(x(at), height - 9, `${minus(String(at))}${at === high ? ` ${unit}` : ""}`, at === low ? "start" : at === high ? "end" : "middle"));
    nodes.push(words(box.left, 12, `Probability of each class: ${name}`, "start"));
    for (const unit of CLASSES.keys()) {
      const peak = own.reduce((best, point) => (point.probabilities[unit] > best.probabilities[unit] ? point : best), own[0]);
      if (!peak || peak.probabilities[unit] < 0.08) continue;
      const d = own.map(({ at, probabilities }, i) => `${i ? "L" : "M"}${x(at).toFixed(1)} ${y(probabilities[unit]).toFixed(1)}`).join("");
      const colour = CLASS_COLOURS[unit % CLASS_COLOURS.length];
      nodes.push(makeSvg("path", { d, fill: "none", stroke: colour, "stroke-width": 2 }));
      const label = words(Math.max(box.left + 8, Math.min(box.right - 8, x(peak.at))), y(peak.probabilities[unit]) - 4, shortName(CLASSES[unit]));
      label.setAttribute("style", `fill:${colour};font-weight:700;font-size:12px`);
      nodes.push(label);
    }
    if (own.length) nodes.push(makeSvg("line", { x1: x(state.change[curveOf]), x2: x(state.change[curveOf]), y1: box.top, y2: box.bottom, stroke: markColours.from, "stroke-width": 2 }));
    svg.replaceChildren(...nodes);
  }
}
const shortName = (name) => (name.length > 14 ? `${name.slice(0, 13)}…` : name);
