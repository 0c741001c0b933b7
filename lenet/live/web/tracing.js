// Pointing at a value: what it came from, and what it reaches, marked on every layer.
//
// A pointed value is { run, kind, layer, tile, y, x }; see `bands.js` for the kinds.

const MOST_MARKED = 8; // Inputs of a unit that are marked.

function pointAt(pointed, pin, event) {
  if (state.pinned && !pin) return;
  state.pinned = Boolean(pointed) && Boolean(pin);
  state.pointed = pointed;
  if (state.pinned && pointed.layer) {
    chosenUnits.set(pointed.run.number, { name: (pointed.of ?? pointed.layer).name, unit: pointed.tile });
    showChosenUnits();
  }
  refresh("look", event);
}

function unpin() {
  state.pinned = false;
  state.pointed = null;
  refresh("look");
}

const cellRegion = ({ y, x }) => ({ top: y, left: x, bottom: y + 1, right: x + 1 });

// The index of the layer whose output the pointed value belongs to; -1 for the image.
const pointedIndex = (pointed) => (pointed.kind === "image" ? -1 : pointed.layer.index);

// The marks of a run's views, by "band/view".
function marksOf(run) {
  const marks = new Map();
  const add = (key, mark) => marks.set(key, [...(marks.get(key) ?? []), mark]);
  const pointed = state.pointed;
  if (!pointed || pointed.run !== run) return marks;
  if (pointed.kind === "kernels") {
    for (const view of ["kernels", "before", "after", "pooled"]) add(`${pointed.layer.name}/${view}`, { tiles: [pointed.tile], colour: "from" });
    return marks;
  }
  if (!state.results.has(run.number)) return marks; // Nothing has been drawn yet.
  const index = pointedIndex(pointed);
  if (pointed.kind === "image") add("image/image", { tiles: null, region: cellRegion(pointed), colour: "from" });
  else markOwn(run, pointed, add);
  markSources(run, pointed, index, add);
  let region = cellRegion(pointed);
  for (const layer of run.plan.slice(index + 1)) {
    if (layer.kind === "dense") break;
    region = reachForward(layer, region);
    for (const key of viewsOf(run, layer)) add(key, { tiles: null, region, colour: "to" });
  }
  return marks;
}

// The views that show the output of a layer.
function viewsOf(run, layer) {
  if (layer.kind === "pool") return [`${run.plan[layer.index - 1].name}/pooled`];
  return [`${layer.name}/before`, `${layer.name}/after`];
}

function markOwn(run, pointed, add) {
  const region = cellRegion(pointed);
  const mark = { tiles: [pointed.tile], region, colour: "from" };
  for (const key of viewsOf(run, pointed.layer)) add(key, mark);
  const convolution = pointed.of ?? pointed.layer;
  if (convolution.kind === "conv") add(`${convolution.name}/kernels`, { tiles: [pointed.tile], colour: "from" });
}

// Marks what a value came from, layer by layer back to the image.
function markSources(run, pointed, index, add) {
  let region = cellRegion(pointed);
  let tiles = pointed.kind === "pooled" ? [pointed.tile] : null;
  for (let i = index; i >= 0; i--) {
    const layer = run.plan[i];
    if (layer.kind === "dense") {
      if (i === index) markStrongest(run, pointed, add);
      return;
    }
    region = reachBack(layer, region);
    const previous = run.plan[i - 1];
    const keys = previous ? viewsOf(run, previous) : ["image/image"];
    for (const key of keys) if (!key.endsWith("/before")) add(key, { tiles, region, colour: "from" });
    tiles = null;
  }
}

// Marks the inputs that contribute most to a fully connected unit.
function markStrongest(run, pointed, add) {
  const terms = contributions(run, pointed.layer, pointed.tile).slice(0, MOST_MARKED);
  const previous = run.plan[pointed.layer.index - 1];
  const key = previous ? viewsOf(run, previous).at(-1) : "image/image";
  for (const { place } of terms) add(key, { tiles: [place.tile], region: cellRegion(place), colour: "from" });
}

// What each input adds to a fully connected unit, the strongest first: { value, weight, product,
// place }.
function contributions(run, layer, unit) {
  const { outputs, weights, input } = state.results.get(run.number);
  const x = layer.index ? outputs[layer.index - 1].after : input;
  const { kernel } = weights[layer.name];
  const units = layer.output.channels;
  const { width, channels } = layer.input;
  const terms = [];
  for (let i = 0; i < x.length; i++) {
    const weight = kernel[i * units + unit];
    if (x[i] * weight === 0) continue;
    const pixel = Math.floor(i / channels);
    terms.push({
      value: x[i], weight, product: x[i] * weight,
      place: { tile: i % channels, y: Math.floor(pixel / width), x: pixel % width },
    });
  }
  return terms.sort((a, b) => Math.abs(b.product) - Math.abs(a.product));
}
