// The bands of the page: the image, each layer, and the answer, with one cell for each run.

const bands = new Map(); // By layer name: { node, cells, views by run number }.

// A sentence about a layer for the head of its band.
function aboutLayer(layer, pooling, activations) {
  const { height, width, channels } = layer.input;
  const activation = activations.size > 1 ? "the activation function" : [...activations][0];
  if (layer.kind === "conv") {
    const [kernelHeight, kernelWidth] = layer.shape;
    const border = layer.padding === "same" ? "The border is filled with zeros. " : "";
    const then = pooling ? ` Pooling keeps the largest of each ${pooling.size} × ${pooling.size} values.` : "";
    return (
      `Each kernel slides over ${channels > 1 ? `the ${channels} maps` : "the image"} and compares every ` +
      `${kernelHeight} × ${kernelWidth} patch with its own pattern. ${border}The sum, plus a bias, goes through ` +
      `${activation}.${then}`
    );
  }
  return (
    `Each unit weighs all ${thousands(height * width * channels)} values of the layer before, adds a bias ` +
    `and applies ${activation}. One cell is one unit.`
  );
}

function dimensions(layer) {
  const { height, width, channels } = layer.output;
  if (layer.kind === "dense") return `${thousands(channels)} units`;
  const [kernelHeight, kernelWidth, inputs] = layer.shape;
  return `${channels} kernels of ${kernelHeight} × ${kernelWidth}${inputs > 1 ? ` × ${inputs}` : ""}, maps of ${height} × ${width}`;
}

const logitsLayer = (run) => run.plan.at(-1);
const poolingAfter = (run, layer) => {
  const next = run.plan[layer.index + 1];
  return next?.kind === "pool" ? next : null;
};

// The layers of all shown runs in order. Layers with the same name share a band.
function layerNames() {
  const names = [];
  for (const run of shownRuns()) {
    let after = -1;
    for (const layer of run.plan.slice(0, -1)) {
      if (layer.kind === "pool") continue;
      const known = names.indexOf(layer.name);
      if (known >= 0) after = known;
      else names.splice(++after, 0, layer.name);
    }
  }
  return names;
}

const shownRuns = () => state.shown.map((number) => RUNS[number]);
const isNarrow = () => window.matchMedia("(max-width: 900px)").matches;
const visibleRuns = () => (isNarrow() ? [shownRuns()[Math.min(state.narrow, state.shown.length - 1)]] : shownRuns());

// Builds all bands again, after a change of the shown runs or of the width.
function buildBands() {
  bands.clear();
  const runs = visibleRuns();
  element("network").style.setProperty("--runs", runs.length);
  const nodes = [imageBand(runs)];
  for (const name of layerNames()) {
    if (runs.some((run) => run.plan.slice(0, -1).some((layer) => layer.name === name))) {
      nodes.push(layerBand(name, runs));
    }
  }
  nodes.push(answerBand(runs), ...whatIfBands(runs), attributionBand(runs), unitsBand(runs));
  element("bands").replaceChildren(...nodes);
  showChosenUnits();
  buildAnswers();
  layOutBands();
}

function band(id, title, size, about, cells, ...controls) {
  const head = make(
    "div", { class: "band-head" }, make("h2", {}, title), make("span", { class: "dims" }, size), ...controls,
    make("p", { class: "about" }, about),
  );
  const node = make("section", { class: "band", id: `band-${id}` }, head, make("div", { class: "cells" }, ...cells));
  return node;
}

// All runs see the same image, so it is drawn once. Its traces are those of the pointed run.
function imageBand(runs) {
  const view = new TileView({
    name: CHANNELS > 1 ? "red, green and blue" : "brightness",
    count: CHANNELS, rows: HEIGHT, columns: WIDTH, gray: true,
    point: (place, pin) => pointAt(place && { run: runs[0], kind: "image", ...place }, pin),
  });
  bands.set("image", { views: new Map([[runs[0].number, { image: view }]]) });
  const centred = DATA.data.mean ? " The network subtracts the mean brightness of the training images from each." : "";
  return band(
    "image", "Image", `${HEIGHT} × ${WIDTH}${CHANNELS > 1 ? ` × ${CHANNELS}` : ""} pixels`,
    `What the network sees: one number for each pixel, from 0 (black) to 1 (white).${centred}`,
    [make("div", { class: "cell" }, view.node)],
  );
}

function layerBand(name, runs) {
  const views = new Map();
  const layers = runs.map((run) => run.plan.find((layer) => layer.name === name));
  const cells = runs.map((run, i) => {
    const layer = layers[i];
    if (!layer || layer === logitsLayer(run)) return make("div", { class: "cell" }, make("p", { class: "note" }, "This network has no such layer."));
    const own = layer.kind === "conv" ? convolutionViews(run, layer) : denseViews(run, layer);
    views.set(run.number, own);
    return make("div", { class: "cell" }, ...Object.values(own).map((view) => view.node));
  });
  bands.set(name, { views });
  const first = runs.findIndex((run) => views.has(run.number));
  const layer = layers[first];
  const activations = new Set(layers.filter(Boolean).map((one) => one.activation));
  const withBias = runs.every((run) => !state.off[run.number][name]?.bias);
  const button = make("button", {
    type: "button", "aria-pressed": !withBias, class: "bias",
    onclick: () => switchBias(name, runs.filter((run) => views.has(run.number))),
  }, withBias ? "Switch bias off" : "Bias is off");
  return band(name, name, dimensions(layer), aboutLayer(layer, poolingAfter(runs[first], layer), activations), cells, button);
}

function convolutionViews(run, layer) {
  const { height: rows, width: columns, channels: count } = layer.output;
  const point = (kind) => (place, pin) => pointAt(place && { run, layer, kind, ...place }, pin);
  const views = {
    kernels: new TileView({ name: "kernels", count, ...kernelTile(layer.shape), point: point("kernels") }),
    before: new TileView({ name: `before ${layer.activation}`, count, rows, columns, point: point("before") }),
    after: new TileView({ name: `after ${layer.activation}`, count, rows, columns, point: point("after") }),
  };
  const pooling = poolingAfter(run, layer);
  if (pooling) {
    const { height, width } = pooling.output;
    views.pooled = new TileView({
      name: `pooled, ${height} × ${width}`, count, rows: height, columns: width,
      point: (place, pin) => pointAt(place && { run, layer: pooling, kind: "pooled", of: layer, ...place }, pin),
    });
  }
  return views;
}

function denseViews(run, layer) {
  const count = layer.output.channels;
  const point = (kind) => (place, pin) => pointAt(place && { run, layer, kind, ...place }, pin);
  const cells = { count, rows: 1, columns: 1, cells: true };
  return {
    before: new TileView({ name: `before ${layer.activation}`, ...cells, point: point("before") }),
    after: new TileView({ name: `after ${layer.activation}`, ...cells, point: point("after") }),
  };
}

// Fits the tiles to the width of a cell.
function layOutBands() {
  for (const [name, { views }] of bands) {
    for (const [number, own] of views) {
      const width = Object.values(own)[0]?.node?.clientWidth ?? 0;
      if (!width) continue;
      const map = own.before ?? own.image;
      const layer = RUNS[number].plan.find((candidate) => candidate.name === name);
      const side = layer?.kind === "dense" ? 0 : tileSide(width, map.count, map.columns);
      for (const view of Object.values(own)) view.layOut(width, name === "image" ? Math.min(width / view.count - GAP, 112) : side);
    }
  }
}

// Gives every view its values and draws it.
function drawBands() {
  for (const run of visibleRuns()) {
    const result = state.results.get(run.number);
    const marks = marksOf(run);
    const imageMarks = marksOf(state.pointed?.run ?? run);
    for (const [name, { views }] of bands) {
      const own = views.get(run.number);
      if (!own) continue;
      if (name === "image") fillImage(own.image);
      else fillLayer(run, run.plan.find((layer) => layer.name === name), own, result);
      for (const [kind, view] of Object.entries(own)) {
        view.marks = (name === "image" ? imageMarks : marks).get(`${name}/${kind}`) ?? [];
        view.draw();
      }
    }
  }
}

function fillImage(view) {
  view.setScale(1);
  const pixels = state.pixels ?? new Uint8Array(HEIGHT * WIDTH * CHANNELS);
  view.setMaps(Float32Array.from(pixels, (value) => value / 255));
}

function fillLayer(run, layer, own, result) {
  const weights = result?.weights ?? weightsAt(run, recordedStep(run, state.step));
  const off = state.off[run.number][layer.name]?.units ?? new Set();
  for (const view of Object.values(own)) view.off = off;
  if (own.kernels) {
    const { kernel } = weights[layer.name];
    own.kernels.setKernels(kernel, layer.shape);
    own.kernels.setScale(largest(kernel));
  }
  const values = result?.outputs[layer.index] ?? emptyOutputs(layer);
  own.before.setMaps(values.before);
  own.before.setScale(largest(values.before));
  own.after.setMaps(values.after);
  own.after.setScale(largest(values.after));
  if (own.pooled) {
    const pooling = poolingAfter(run, layer);
    own.pooled.setMaps(result?.outputs[pooling.index].after ?? new Float32Array(sizeOf(pooling.output)));
    own.pooled.setScale(largest(values.after));
  }
}

const emptyOutputs = (layer) => {
  const empty = new Float32Array(sizeOf(layer.output));
  return { before: empty, after: empty };
};
