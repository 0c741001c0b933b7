// What a kernel or unit looks for: the test images that excite it most, and an image computed to
// excite it (D. Erhan et al., 2009; J. Yosinski et al., 2015).

// The constants, with their explanations, are in lenet/analysis/units.py.
const UNITS = DATA.explanation.units;

let stopUnits = () => {};
const chosenUnits = new Map(); // By run: { layer name, unit }.

// By run. The cells stay when the bands are built again, so that what was computed is not lost.
const unitCells = new Map(RUNS.map((run) => [run.number, unitCell(run)]));

function unitCell(run) {
  const layers = run.plan.filter((layer) => layer.shape);
  const chosen = { name: layers[0].name, unit: 0 };
  chosenUnits.set(run.number, chosen);
  const layerChoice = make("select", { "aria-label": "Layer", onchange: (event) => chooseUnit(run, event.target.value, 0) },
    ...layers.map(({ name }) => make("option", { value: name }, name)));
  const unitChoice = make("input", { type: "number", min: 0, value: 0, "aria-label": "Kernel or unit",
    onchange: (event) => chooseUnit(run, chosenUnits.get(run.number).name, Number(event.target.value)) });
  return make("div", { class: "cell unit", "data-run": run.number },
    make("div", { class: "tools" }, layerChoice, unitChoice, make("span", { class: "note" })), make("div", { class: "found" }));
}

function unitsBand(runs) {
  const cells = runs.map((run) => unitCells.get(run.number));
  const button = make("button", { type: "button", id: "search", onclick: startUnits }, "Compute");
  return band("units", "What does a unit look for?", "",
    `The ${UNITS.TOP} test images on the page that give the largest value before the activation, with the patch that the value depends on. ` +
    "Below them, images computed for the same unit (of a kernel: for the value in the middle of its map). They start as noise. Each step " +
    `follows the gradient, with a random shift of up to ${UNITS.JITTER} pixel and ${100 * UNITS.DECAY} % less contrast, so that only ` +
    "what matters stays. Choose a layer and a unit, or click a value above.", cells, button);
}

function chooseUnit(run, name, unit) {
  const units = run.plan.find((layer) => layer.name === name).output.channels;
  chosenUnits.set(run.number, { name, unit: Math.max(0, Math.min(units - 1, unit || 0)) });
  showChosenUnits();
  startUnits();
}

function showChosenUnits() {
  for (const run of visibleRuns()) {
    const cell = unitCells.get(run.number);
    const { name, unit } = chosenUnits.get(run.number);
    const layer = run.plan.find((candidate) => candidate.name === name);
    const [layerChoice, unitChoice, note] = cell.querySelector(".tools").children;
    layerChoice.value = name;
    unitChoice.max = layer.output.channels - 1;
    unitChoice.value = unit;
    note.textContent = `from 0 to ${thousands(layer.output.channels - 1)}${layer === logitsLayer(run) ? `: ${shortName(CLASSES[unit])}` : ""}`;
  }
}

function startUnits() {
  stopUnits();
  stopUnits = inSlices(searchUnits());
}

function* searchUnits() {
  for (const run of visibleRuns()) {
    const { name, unit } = chosenUnits.get(run.number);
    const layer = run.plan.find((candidate) => candidate.name === name);
    const found = unitCells.get(run.number).querySelector(".found");
    const [tops, computed] = [make("div", { class: "nine" }), make("div", { class: "maps" })];
    found.replaceChildren(make("p", { class: "label" }, `Test images with the largest values at step ${thousands(recordedStep(run, state.step))}`), tops, make("p", { class: "label" }, `Computed images during training, ${run.effort.STEPS} steps each${ofFull(run, "STEPS")}`), computed);
    const best = yield* topImages(run, layer, unit);
    drawTopImages(tops, run, layer, best);
    for (const step of spreadSteps(run.steps, UNITS.MOMENTS)) {
      const node = make("figure", {}, make("canvas"), make("figcaption", {}, `step ${thousands(step)}`));
      computed.append(node);
      for (const image of maximize(run, weightsAt(run, step), layer, unit)) {
        paintImage(node.firstChild, { values: image.map((value) => 255 * value), height: HEIGHT, width: WIDTH, channels: CHANNELS });
        yield;
      }
    }
  }
}

const spreadSteps = (steps, most) =>
  steps.length <= most ? steps : Array.from({ length: most }, (_, i) => steps[Math.round((i * (steps.length - 1)) / (most - 1))]);

// The examples in which the largest value of a unit, before its activation, is largest:
// { example, value, y, x }.
function* topImages(run, layer, unit) {
  const weights = weightsAt(run, recordedStep(run, state.step));
  const part = run.plan.slice(0, layer.index + 1);
  const all = [];
  for (const example of SAMPLE) {
    const { before } = forward(part, weights, toInput(example.pixels, DATA.data.mean)).at(-1);
    let best = unit;
    for (let i = unit; i < before.length; i += layer.output.channels) if (before[i] > before[best]) best = i;
    const place = Math.floor(best / layer.output.channels);
    all.push({ example, value: before[best], y: Math.floor(place / layer.output.width), x: place % layer.output.width });
    yield;
  }
  return all.sort((a, b) => b.value - a.value || a.example.index - b.example.index).slice(0, UNITS.TOP);
}

function drawTopImages(node, run, layer, best) {
  for (const { example, value, y, x } of best) {
    const canvas = make("canvas");
    paintImage(canvas, imageOfBytes(example.pixels));
    const framed = make("div", { class: "framed" }, canvas);
    const figureNode = make("figure", {}, framed, make("figcaption", {}, `${shortName(CLASSES[example.label])}: ${figure(value, 2)}`));
    if (layer.kind === "conv") {
      let region = cellRegion({ y, x });
      for (const below of run.plan.slice(0, layer.index + 1).reverse()) region = reachBack(below, region);
      const frame = make("i", { class: "frame" });
      frame.style.cssText = `left:${(100 * region.left) / WIDTH}%;top:${(100 * region.top) / HEIGHT}%;width:${(100 * (region.right - region.left)) / WIDTH}%;height:${(100 * (region.bottom - region.top)) / HEIGHT}%`;
      framed.append(frame);
    }
    node.append(figureNode);
  }
  const counts = new Map();
  for (const { example } of best) counts.set(example.label, (counts.get(example.label) ?? 0) + 1);
  const shares = [...counts].sort((a, b) => b[1] - a[1]).map(([label, count]) => `${shortName(CLASSES[label])} ${count}`);
  node.after(make("p", { class: "note" }, `Classes among the ${best.length}: ${shares.join(", ")}.`));
}

// The noise with which an ascent starts, and the random shift of each step.
function randomAscent(run) {
  const { uniform, normal } = randomSource(3);
  const shift = () => Math.floor(uniform() * (2 * UNITS.JITTER + 1)) - UNITS.JITTER;
  return {
    start: Float32Array.from({ length: HEIGHT * WIDTH * CHANNELS }, () => 0.5 + UNITS.NOISE * normal()),
    shifts: Array.from({ length: run.effort.STEPS }, () => [shift(), shift()]),
  };
}

// Gradient ascent, step by step as lenet/analysis/units.py does: raises the value of a unit before
// its activation, of a kernel in the middle of its map. Yields the image, with values from 0 to 1,
// after each step.
function* maximize(run, weights, layer, unit, { start, shifts } = randomAscent(run)) {
  const mean = DATA.data.mean;
  const part = run.plan.slice(0, layer.index + 1);
  const { height, width, channels } = layer.output;
  const goal = new Float32Array(sizeOf(layer.output));
  goal[(Math.floor(height / 2) * width + Math.floor(width / 2)) * channels + unit] = 1;
  let image = start;
  for (const [down, right] of shifts) {
    const moved = rolled(image, down, right);
    const input = mean ? moved.map((value, i) => value - mean[i % CHANNELS]) : moved;
    const outputs = forward(part, weights, input);
    const gradient = rolled(backward(part, weights, input, outputs, layer.index, goal)[0], -down, -right);
    const size = gradient.reduce((sum, value) => sum + Math.abs(value), 0) / gradient.length;
    const length = UNITS.STEP_SIZE / Math.max(size, 1e-12);
    image = image.map((value, i) => Math.min(1, Math.max(0, 0.5 + (1 - UNITS.DECAY) * (value + length * gradient[i] - 0.5))));
    yield image;
  }
}

// Shifts an image in a circle.
function rolled(values, down, right) {
  if (!down && !right) return values;
  const result = new Float32Array(values.length);
  for (let y = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH; x++) {
      const to = (((y + down + HEIGHT) % HEIGHT) * WIDTH + ((x + right + WIDTH) % WIDTH)) * CHANNELS;
      const from = (y * WIDTH + x) * CHANNELS;
      for (let channel = 0; channel < CHANNELS; channel++) result[to + channel] = values[from + channel];
    }
  }
  return result;
}
