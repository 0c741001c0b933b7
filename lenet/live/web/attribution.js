// Attribution: which pixels an answer depends on, by five methods next to each other.
//
// Gradient: K. Simonyan et al., 2013. SmoothGrad: D. Smilkov et al., 2017. Integrated gradients:
// M. Sundararajan et al., 2017. Grad-CAM: R. Selvaraju et al., 2017. Occlusion: M. Zeiler and
// R. Fergus, 2014. The check with random weights: J. Adebayo et al., 2018.

const NOISY_COPIES = 16;
const NOISE = 0.15; // The standard deviation of SmoothGrad's noise; pixels are from 0 to 1.
const PATH_STEPS = 32; // Points on the path of integrated gradients.
const PATCHES_ACROSS = 4; // An image is as wide as this many occluding patches.
const POSITIONS_ACROSS = 14;
const GRAY_PATCH = 128 / 255;

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
    return { map: overChannels(logitGradient(network, input, unit).gradients[0], "strongest") };
  },
  *SmoothGrad(network, input, unit) {
    const { normal } = randomSource(1);
    const sum = new Float32Array(input.length);
    for (let copy = 0; copy < NOISY_COPIES; copy++) {
      const noisy = input.map((value) => value + NOISE * normal());
      logitGradient(network, noisy, unit).gradients[0].forEach((value, i) => (sum[i] += value / NOISY_COPIES));
      yield;
    }
    return { map: overChannels(sum, "strongest") };
  },
  *"integrated gradients"(network, input, unit) {
    const { attributions, difference, total } = yield* integratedGradients(network, input, unit);
    const error = Math.abs(total - difference) / Math.max(Math.abs(difference), 1e-6);
    return { map: overChannels(attributions, "sum"), note: `sum ${figure(total, 2)}, difference of the logits ${figure(difference, 2)}, error ${percentage(error)}`, error };
  },
  *"Grad-CAM"(network, input, unit) {
    const layer = network.plan.findLast((candidate) => candidate.kind === "conv");
    if (!layer) return null;
    const { gradients, outputs } = logitGradient(network, input, unit);
    yield;
    return { map: gradCam(layer, outputs[layer.index].after, gradients[layer.index + 1]), note: `maps of ${layer.name}` };
  },
  *occlusion(network, input, unit) {
    return { map: yield* occlusion(network, input, unit), note: "how much the probability falls" };
  },
};

function* integratedGradients(network, input, unit, steps = PATH_STEPS) {
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

function* occlusion({ plan, weights, off }, input, unit) {
  const shareOf = (x) => softmax(forward(plan, weights, x, off).at(-1).after)[unit];
  const whole = shareOf(input);
  const patch = Math.max(1, Math.floor(Math.min(HEIGHT, WIDTH) / PATCHES_ACROSS));
  const stride = Math.max(1, Math.round(Math.min(HEIGHT, WIDTH) / POSITIONS_ACROSS));
  const map = new Float32Array(HEIGHT * WIDTH);
  for (let y = 0; y < HEIGHT; y += stride) {
    for (let x = 0; x < WIDTH; x += stride) {
      const hidden = input.slice();
      const [top, left] = [y + (stride >> 1) - (patch >> 1), x + (stride >> 1) - (patch >> 1)];
      for (let row = Math.max(0, top); row < Math.min(HEIGHT, top + patch); row++) {
        for (let i = (row * WIDTH + Math.max(0, left)) * CHANNELS; i < (row * WIDTH + Math.min(WIDTH, left + patch)) * CHANNELS; i++) {
          hidden[i] = GRAY_PATCH - (DATA.data.mean?.[i % CHANNELS] ?? 0);
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

// One value for each pixel: the sum over the channels, or the one with the largest size.
function overChannels(values, way) {
  if (CHANNELS === 1) return values;
  const map = new Float32Array(HEIGHT * WIDTH);
  for (let i = 0; i < values.length; i++) {
    const pixel = Math.floor(i / CHANNELS);
    if (way === "sum") map[pixel] += values[i];
    else if (Math.abs(values[i]) > Math.abs(map[pixel])) map[pixel] = values[i];
  }
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

// Spearman's rank correlation of the sizes of two maps, from -1 to 1.
function rankCorrelation(one, other) {
  const ranks = (values) => {
    const sizes = Array.from(values, Math.abs);
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
  const middle = (a.length - 1) / 2;
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

function attributionBand(runs) {
  const cells = runs.map((run) => make("div", { class: "cell maps", "data-run": run.number }));
  const button = make("button", { type: "button", id: "attribute", onclick: startAttribution }, "Compute");
  return band("attribution", "Which pixels does the answer depend on?", "",
    "Five methods for the answer of the network. Red pixels speak for it, blue ones against it. A method is only useful if its map " +
    "depends on what the network has learned. So the number under each map compares it with the map of the same network with its " +
    "weights in random order: near 0 is good, near 1 means that the map shows little more than the image.", cells, button);
}

function startAttribution() {
  stopAttribution();
  stopAttribution = inSlices(attributeAll());
}

function* attributeAll() {
  for (const cell of document.querySelectorAll("#band-attribution .cell")) cell.replaceChildren();
  for (const run of visibleRuns()) {
    const result = state.results.get(run.number);
    const cell = document.querySelector(`#band-attribution .cell[data-run="${run.number}"]`);
    if (!result) {
      cell.replaceChildren(make("p", { class: "note" }, "Draw or choose an image first."));
      continue;
    }
    const trained = { plan: run.plan, weights: result.weights, off: state.off[run.number] };
    const random = { ...trained, weights: shuffledWeights(result.weights) };
    cell.append(make("p", { class: "label" }, `Why ${shortName(CLASSES[result.best])}?`));
    for (const [name, method] of Object.entries(METHODS)) {
      const node = make("figure", {}, make("canvas"), make("figcaption", {}, `${name} …`));
      cell.append(node);
      const found = yield* method(trained, result.input, result.best);
      if (!found) {
        node.remove();
        continue;
      }
      paintMap(node.firstChild, found.map);
      const check = yield* method(random, result.input, result.best);
      const similarity = rankCorrelation(found.map, check.map);
      Object.assign(node.dataset, { method: name, similarity, ...(found.error === undefined ? {} : { error: found.error }) });
      node.lastChild.replaceChildren(make("b", {}, name), make("br"), `random weights: ${figure(similarity, 2)}`, ...(found.note ? [make("br"), found.note] : []));
    }
  }
}

function paintMap(canvas, map, limit = largest(map), width = WIDTH) {
  canvas.width = width;
  canvas.height = map.length / width;
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < map.length; i++) pixels[i] = palette[colourIndex(map[i], limit)];
  context.putImageData(image, 0, 0);
}
