// Attribution: which pixels an answer depends on, by five methods next to each other.
//
// Gradient: K. Simonyan et al., 2013. SmoothGrad: D. Smilkov et al., 2017. Integrated gradients:
// M. Sundararajan et al., 2017. Grad-CAM: R. Selvaraju et al., 2017. Occlusion: M. Zeiler and
// R. Fergus, 2014. The check with random weights: J. Adebayo et al., 2018.

// The constants, with their explanations, are in lenet/analysis/attribution.py and insight.py. How
// many samples a network gets is in lenet/live/effort.py.
const { attribution: SALIENCY, insight: HIDING, full: FULL } = DATA.explanation;

// Says how many samples lenet.visualize takes, if the page takes fewer for this network.
const ofFull = ({ effort }, name) => (effort[name] < FULL[name] ? ` (lenet.visualize: ${FULL[name]})` : "");

// Random numbers that are the same in each visit (mulberry32), and from a normal distribution.
function randomSource(seed) {
  let state = seed;
  const uniform = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  return { uniform, normal };
}

// The gradient of a class's logit with respect to the network's input.
function logitGradient({ plan, weights, off }, input, unit) {
  const outputs = forward(plan, weights, input, off);
  const gradient = new Float32Array(CLASSES.length);
  gradient[unit] = 1;
  const gradients = backward(plan, weights, input, outputs, plan.length - 1, gradient);
  return { gradients, outputs, logit: outputs.at(-1).after[unit] };
}

// The input of a black image: the start of the path of integrated gradients.
const blackInput = () => toInput(new Uint8Array(HEIGHT * WIDTH * CHANNELS), DATA.data.mean);

// Each method is a generator that returns { map, note }: one value for each pixel.
const METHODS = {
  *gradient(network, input, unit) {
    yield;
    return { map: overChannels(logitGradient(network, input, unit).gradients[0]) };
  },
  *SmoothGrad(network, input, unit) {
    const { normal } = randomSource(1);
    const { SAMPLES } = network.effort;
    const sum = new Float32Array(input.length);
    for (let copy = 0; copy < SAMPLES; copy++) {
      const noisy = input.map((value) => value + SALIENCY.NOISE * normal());
      logitGradient(network, noisy, unit).gradients[0].forEach((value, i) => (sum[i] += value / SAMPLES));
      yield;
    }
    return { map: overChannels(sum), note: `${SAMPLES} noisy copies${ofFull(network, "SAMPLES")}` };
  },
  *"integrated gradients"(network, input, unit) {
    const { attributions, difference, total } = yield* integratedGradients(network, input, unit);
    const error = Math.abs(total - difference) / Math.max(Math.abs(difference), 1e-6);
    const sums = `sum ${figure(total, 2)}, difference of the logits ${figure(difference, 2)}, error ${percentage(error)}`;
    return { map: overChannels(attributions), note: `${network.effort.PATH_STEPS} steps${ofFull(network, "PATH_STEPS")}: ${sums}`, error };
  },
  *"Grad-CAM"(network, input, unit) {
    const layer = network.plan.findLast((candidate) => candidate.kind === "conv");
    if (!layer) return null;
    const { gradients, outputs } = logitGradient(network, input, unit);
    yield;
    return { map: gradCam(layer, outputs[layer.index].after, gradients[layer.index + 1]), note: `maps of ${layer.name}` };
  },
  *occlusion(network, input, unit) {
    return { map: yield* occlusion(network, input, unit), note: `how much the probability falls${network.effort.FINEST < FULL.FINEST ? ", at fewer places than in lenet.visualize" : ""}` };
  },
};

function* integratedGradients(network, input, unit) {
  const steps = network.effort.PATH_STEPS;
  const start = blackInput();
  const sum = new Float64Array(input.length);
  for (let step = 0; step < steps; step++) {
    const share = (step + 0.5) / steps;
    const point = input.map((value, i) => start[i] + share * (value - start[i]));
    const gradient = logitGradient(network, point, unit).gradients[0];
    for (let i = 0; i < sum.length; i++) sum[i] += gradient[i] / steps;
    yield;
  }
  const attributions = Float32Array.from(sum, (value, i) => value * (input[i] - start[i]));
  const logitOf = (x) => forward(network.plan, network.weights, x, network.off).at(-1).after[unit];
  return { attributions, difference: logitOf(input) - logitOf(start), total: attributions.reduce((a, b) => a + b, 0) };
}

// Maps weighted by their mean gradient, added, and enlarged to the size of the image.
function gradCam({ output: { height, width, channels } }, maps, gradient) {
  const shares = new Float64Array(channels);
  gradient.forEach((value, i) => (shares[i % channels] += value / (height * width)));
  const small = imageOf(height, width);
  for (let i = 0; i < maps.length; i++) small.values[Math.floor(i / channels)] += shares[i % channels] * maps[i];
  small.values = small.values.map((value) => Math.max(0, value));
  return resize(small, HEIGHT, WIDTH, "bilinear").values;
}

// The distance of two neighbouring places of the patch that hides a part of the image, in pixels.
const strideOf = ({ FINEST }) => Math.max(1, Math.floor(Math.min(HEIGHT, WIDTH) / FINEST));

// A gray patch hides each place, as in lenet/analysis/insight.py.
function* occlusion({ plan, weights, off, effort }, input, unit) {
  const shareOf = (x) => softmax(forward(plan, weights, x, off).at(-1).after)[unit];
  const whole = shareOf(input);
  const patch = Math.max(2, Math.floor(Math.min(HEIGHT, WIDTH) / SALIENCY.PATCHES));
  const stride = strideOf(effort);
  const map = new Float32Array(HEIGHT * WIDTH);
  for (let y = 0; y < HEIGHT; y += stride) {
    for (let x = 0; x < WIDTH; x += stride) {
      const hidden = input.slice();
      const [top, left] = [y + (stride >> 1) - (patch >> 1), x + (stride >> 1) - (patch >> 1)];
      for (let row = Math.max(0, top); row < Math.min(HEIGHT, top + patch); row++) {
        for (let i = (row * WIDTH + Math.max(0, left)) * CHANNELS; i < (row * WIDTH + Math.min(WIDTH, left + patch)) * CHANNELS; i++) {
          hidden[i] = HIDING.PATCH_BRIGHTNESS / 255 - (DATA.data.mean?.[i % CHANNELS] ?? 0);
        }
      }
      const fall = whole - shareOf(hidden);
      for (let row = y; row < Math.min(HEIGHT, y + stride); row++) {
        map.fill(fall, row * WIDTH + x, row * WIDTH + Math.min(WIDTH, x + stride));
      }
      yield;
    }
  }
  return map;
}

// One value for each pixel: the sum over the channels.
function overChannels(values) {
  const map = new Float32Array(HEIGHT * WIDTH);
  for (let i = 0; i < values.length; i++) map[Math.floor(i / CHANNELS)] += values[i];
  return map;
}

// The same network with the weights of each kernel in random order.
function shuffledWeights(weights) {
  const { uniform } = randomSource(2);
  const shuffled = {};
  for (const [name, { kernel, bias }] of Object.entries(weights)) {
    const values = kernel.slice();
    for (let i = values.length - 1; i > 0; i--) {
      const j = Math.floor(uniform() * (i + 1));
      [values[i], values[j]] = [values[j], values[i]];
    }
    shuffled[name] = { kernel: values, bias };
  }
  return shuffled;
}

// The pixels at which at least one of two maps is not 0. Only these can differ.
const comparedPixels = (one, other) => [...one.keys()].filter((pixel) => one[pixel] || other[pixel]);

// Spearman's rank correlation of the sizes of two maps at some pixels, from -1 to 1.
function rankCorrelation(one, other, pixels = comparedPixels(one, other)) {
  const ranks = (map) => {
    const sizes = pixels.map((pixel) => Math.abs(map[pixel]));
    const order = [...sizes.keys()].sort((a, b) => sizes[a] - sizes[b]);
    const result = new Float64Array(sizes.length);
    for (let from = 0; from < order.length; ) {
      let to = from;
      while (to < order.length && sizes[order[to]] === sizes[order[from]]) to++;
      for (let i = from; i < to; i++) result[order[i]] = (from + to - 1) / 2;
      from = to;
    }
    return result;
  };
  const [a, b] = [ranks(one), ranks(other)];
  const middle = (pixels.length - 1) / 2;
  let [both, first, second] = [0, 0, 0];
  a.forEach((rank, i) => {
    both += (rank - middle) * (b[i] - middle);
    first += (rank - middle) ** 2;
    second += (b[i] - middle) ** 2;
  });
  return first && second ? both / Math.sqrt(first * second) : 0;
}

// --- The band ---

let stopAttribution = () => {};
// By run. The cells stay when the bands are built again, so that what was computed is not lost.
const attributionCells = new Map(RUNS.map((run) => [run.number, make("div", { class: "cell maps", "data-run": run.number })]));

function attributionBand(runs) {
  const cells = runs.map((run) => attributionCells.get(run.number));
  const button = make("button", { type: "button", id: "attribute", onclick: startAttribution }, "Compute");
  return band("attribution", "Which pixels does the answer depend on?", "",
    "Five methods for the answer of the network. Red pixels speak for it, blue ones against it. A method is only useful if its map " +
    "depends on what the network has learned. So the number under each map compares it with the map of the same network with its " +
    "weights in random order: near 0 is good, near 1 means that the map shows little more than the image. It is the rank correlation " +
    "over the pixels at which at least one of the two maps is not 0.", cells, button);
}

// How often the longer methods pause, to show how far they are.
const PAUSES = {
  SmoothGrad: ({ SAMPLES }) => SAMPLES,
  "integrated gradients": ({ PATH_STEPS }) => PATH_STEPS,
  occlusion: (effort) => Math.ceil(HEIGHT / strideOf(effort)) * Math.ceil(WIDTH / strideOf(effort)),
};

// Runs one half of the work of a method: 0 for the trained network, 1 for the one with random weights.
function* withProgress(work, half, caption, name, effort) {
  for (let pause = 1; ; pause++) {
    const next = work.next();
    if (next.done) return next.value;
    if (name in PAUSES) caption.textContent = `${name}: ${Math.round(50 * (half + pause / PAUSES[name](effort)))} %`;
    yield;
  }
}

function startAttribution() {
  stopAttribution();
  stopAttribution = inSlices(attributeAll());
}

// Marks maps that belong to an earlier image, step, or network with other parts switched off.
function markOldMaps() {
  for (const run of RUNS) {
    const cell = attributionCells.get(run.number);
    const isOld = Boolean(cell.subject) && (cell.subject.pixels !== state.pixels || cell.subject.network !== networkKey(run, state.off[run.number]));
    if (isOld) stopAttribution();
    cell.classList.toggle("old", isOld);
  }
}

function repaintMaps() {
  for (const cell of attributionCells.values()) for (const canvas of cell.querySelectorAll("canvas")) if (canvas.map) paintMap(canvas, canvas.map);
}

function* attributeAll() {
  for (const cell of attributionCells.values()) {
    cell.replaceChildren();
    cell.classList.remove("old");
    cell.subject = null;
  }
  for (const run of visibleRuns()) {
    const result = state.results.get(run.number);
    const cell = attributionCells.get(run.number);
    if (!result) {
      cell.replaceChildren(make("p", { class: "note" }, "Draw or choose an image first."));
      continue;
    }
    const trained = { plan: run.plan, weights: result.weights, off: state.off[run.number], effort: run.effort };
    const random = { ...trained, weights: shuffledWeights(result.weights) };
    cell.subject = { pixels: state.pixels, network: networkKey(run, state.off[run.number]) };
    cell.append(make("p", { class: "label" }, `Why ${shortName(CLASSES[result.best])}?`));
    for (const [name, method] of Object.entries(METHODS)) {
      const node = make("figure", {}, make("canvas"), make("figcaption", {}, `${name} …`));
      cell.append(node);
      const half = (network, number) => withProgress(method(network, result.input, result.best), number, node.lastChild, name, run.effort);
      const found = yield* half(trained, 0);
      if (!found) {
        node.remove();
        continue;
      }
      paintMap(node.firstChild, found.map);
      const check = yield* half(random, 1);
      const compared = comparedPixels(found.map, check.map);
      const similarity = rankCorrelation(found.map, check.map, compared);
      Object.assign(node.dataset, { method: name, similarity, ...(found.error === undefined ? {} : { error: found.error }) });
      node.lastChild.replaceChildren(make("b", {}, name), make("br"), `random weights: ${figure(similarity, 2)}`, make("br"), `(over ${thousands(compared.length)} of ${thousands(found.map.length)} pixels)`, ...(found.note ? [make("br"), found.note] : []));
    }
  }
}

// The canvas keeps its map, for other colours.
function paintMap(canvas, map) {
  canvas.map = map;
  const limit = largest(map);
  canvas.width = WIDTH;
  canvas.height = HEIGHT;
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < map.length; i++) pixels[i] = palette[colourIndex(map[i], limit)];
  context.putImageData(image, 0, 0);
}
