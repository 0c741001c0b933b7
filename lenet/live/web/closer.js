// "Look closer": how one value is computed, in figures.

const MOST_TERMS = 5; // Inputs for and against in the list of a unit.

function drawCloser() {
  const { pointed, pinned } = state;
  const panel = element("closer");
  const result = pointed && state.results.get(pointed.run.number);
  const show = Boolean(pointed) && (Boolean(result) || pointed.kind === "kernels");
  panel.hidden = !show;
  if (!isNarrow()) element("source").hidden = show;
  else element("source").hidden = false;
  if (!show) return;
  const explain = { image: explainPixel, kernels: explainKernel, pooled: explainPooling, logit: explainUnit, before: explainValue, after: explainValue }[pointed.kind];
  const { title, body, unit } = explain(pointed, result);
  const close = make("button", { type: "button", class: "close", "aria-label": "Close", onclick: unpin }, "×");
  const run = state.shown.length > 1 ? make("p", { class: "note" }, make("i", { class: "swatch", style: `background:${runColour(pointed.run.number)}` }), pointed.run.label) : null;
  panel.replaceChildren(
    make("div", { class: "head" }, make("h2", {}, title), pinned ? close : null), ...[run].filter(Boolean),
    ...body.filter(Boolean), ...switchOf(pointed, unit),
    make("p", { class: "note" }, pinned ? "Esc closes this. All numbers start at 0." : "Click to keep this open. All numbers start at 0."),
  );
}

// The button that switches off the pointed kernel or unit.
function switchOf({ run, layer, kind, of: convolution }, unit) {
  if (unit === undefined || kind === "logit") return [];
  const { name } = convolution ?? layer;
  const word = (convolution ?? layer).kind === "conv" ? "kernel" : "unit";
  const isOff = state.off[run.number][name]?.units.has(unit);
  const text = isOff ? `Switch ${word} ${unit} on again` : `Switch ${word} ${unit} off`;
  return [make("button", { type: "button", class: "switch", "aria-pressed": Boolean(isOff), onclick: () => switchUnit(run, name, unit) }, text)];
}

function explainPixel({ run, y, x, tile }, result) {
  const i = (y * WIDTH + x) * CHANNELS + tile;
  const reached = [];
  let region = cellRegion({ y, x });
  for (const layer of run.plan) {
    if (layer.kind === "dense") break;
    region = reachForward(layer, region);
    if (layer.kind === "conv") {
      reached.push(`${(region.bottom - region.top) * (region.right - region.left)} values of each map of ${layer.name}`);
    }
  }
  const dense = run.plan.find((layer) => layer.kind === "dense").name;
  const mean = DATA.data.mean;
  return {
    title: `Pixel in row ${y}, column ${x}`,
    body: [
      sumList([
        ["brightness, from 0 to 255", String(state.pixels[i])],
        ...(mean ? [["divided by 255", figure(state.pixels[i] / 255)], ["minus the mean", figure(mean[tile])]] : []),
        ["value for the network", figure(result.input[i]), true],
      ]),
      make("p", {}, `This pixel reaches ${[...reached, `every unit from ${dense} on`].join(", ")}. Green frames show where.`),
    ],
  };
}

function explainKernel({ run, layer, tile }, result) {
  const weights = (result?.weights ?? weightsAt(run, recordedStep(run, state.step)))[layer.name];
  const [height, width, inputs, outputs] = layer.shape;
  const slice = kernelSlice(weights.kernel, layer.shape, 0, tile);
  const all = weights.kernel.filter((_, i) => i % outputs === tile);
  return {
    title: `${layer.name}, kernel ${tile}`, unit: tile,
    body: [
      numberGrid(slice, height, width, largest(weights.kernel), inputs > 1 ? "its slice for map 0" : "its weights"),
      sumList([["smallest weight", figure(all.reduce((a, b) => Math.min(a, b)))], ["largest weight", figure(all.reduce((a, b) => Math.max(a, b)))], ["bias", figure(weights.bias[tile])]]),
      make("p", {}, "Where the image looks like the red part and not like the blue part, the map of this kernel is large."),
    ],
  };
}

function explainPooling({ run, layer, of: convolution, tile, y, x }, result) {
  const { after } = result.outputs[convolution.index];
  const { width, channels } = layer.input;
  const values = [];
  for (let row = y * layer.size; row < (y + 1) * layer.size; row++) {
    for (let column = x * layer.size; column < (x + 1) * layer.size; column++) values.push(after[(row * width + column) * channels + tile]);
  }
  return {
    title: `${layer.name}, map ${tile}, row ${y}, column ${x}`, unit: tile,
    body: [
      numberGrid(values, layer.size, layer.size, largest(after), `the ${layer.size} × ${layer.size} values of ${convolution.name}`, true),
      sumList([["the largest of them", figure(Math.max(...values)), true]]),
    ],
  };
}

function explainValue(pointed, result) {
  return pointed.layer.kind === "conv" ? explainConvolution(pointed, result) : explainUnit(pointed, result);
}

function explainConvolution({ run, layer, tile, y, x }, result) {
  const { kernel, bias } = result.weights[layer.name];
  const [height, width, inputs] = layer.shape;
  const source = layer.index ? result.outputs[layer.index - 1].after : result.input;
  const patches = Array.from({ length: inputs }, (_, input) => {
    const patch = patchOf(source, layer, input, y, x);
    const slice = kernelSlice(kernel, layer.shape, input, tile);
    const products = patch.map((value, i) => value * slice[i]);
    return { input, patch, slice, products, sum: products.reduce((total, product) => total + product, 0) };
  });
  const strongestFirst = [...patches].sort((a, b) => Math.abs(b.sum) - Math.abs(a.sum));
  const { patch, slice, products, input } = strongestFirst[0];
  const sum = patches.reduce((total, one) => total + one.sum, 0);
  const biasOff = state.off[run.number][layer.name]?.bias;
  const of = inputs > 1 ? ` of map ${input}` : "";
  const values = result.outputs[layer.index];
  const i = (y * layer.output.width + x) * layer.output.channels + tile;
  return {
    title: `${layer.name}, kernel ${tile}, row ${y}, column ${x}`, unit: tile,
    body: [
      make("div", { class: "grids" },
        numberGrid(patch, height, width, largest(source), `patch${of}`),
        make("span", { class: "sign" }, "×"), numberGrid(slice, height, width, largest(kernel), "kernel"),
        make("span", { class: "sign" }, "="), numberGrid(products, height, width, largest(products), "products")),
      sumList([
        ...channelSums(strongestFirst, inputs, products.length),
        ["bias", biasOff ? "off" : figure(bias[tile])],
        [`before ${layer.activation}`, figure(values.before[i]), true],
        [`after ${layer.activation}`, figure(values.after[i]), true],
        slopeThere(layer.activation, values.before[i]),
      ]),
      activationPlot(layer.activation, values.before[i]),
    ].filter((child) => child !== null && sum !== undefined),
  };
}

// The sums of the products, one for each input map; the weakest maps are added together.
function channelSums(strongestFirst, inputs, count) {
  if (inputs === 1) return [[`sum of the ${count} products`, figure(strongestFirst[0].sum)]];
  const rest = strongestFirst.slice(MOST_TERMS);
  const rows = strongestFirst.slice(0, MOST_TERMS).map(({ input, sum }) => [`sum for map ${input}`, figure(sum)]);
  if (rest.length) rows.push([rest.length === 1 ? `sum for map ${rest[0].input}` : `sum for the other ${rest.length} maps`, figure(rest.reduce((total, one) => total + one.sum, 0))]);
  return rows;
}

function explainUnit({ run, layer, tile, kind }, result) {
  const terms = contributions(run, layer, tile);
  const bias = result.weights[layer.name].bias[tile];
  const biasOff = state.off[run.number][layer.name]?.bias;
  const values = result.outputs[layer.index];
  const previous = run.plan[layer.index - 1];
  const parts = [terms.filter((term) => term.product > 0), terms.filter((term) => term.product < 0)];
  const sums = parts.map((part) => part.reduce((total, term) => total + term.product, 0));
  const isLogit = kind === "logit";
  const rows = parts.flatMap((part, i) => [
    make("tr", {}, make("th", { colspan: 2 }, i ? "speak most against" : "speak most for"), make("td", {}, "value × weight")),
    ...part.slice(0, MOST_TERMS).map((term) => make("tr", {}, make("td", {}, placeName(previous, term.place)), make("td", {}, `${figure(term.value, 2)} × ${figure(term.weight, 2)}`), make("td", {}, figure(term.product, 2)))),
  ]);
  const title = isLogit ? `Logit of ${CLASSES[tile]}` : `${layer.name}, unit ${tile}`;
  return {
    title, unit: tile,
    body: [
      make("p", {}, `The inputs from ${previous ? previous.name : "the image"} that`),
      make("table", { class: "speak" }, make("tbody", {}, ...rows)),
      sumList([
        ["everything for", figure(sums[0])], ["everything against", figure(sums[1])], ["bias", biasOff ? "off" : figure(bias)],
        [isLogit ? "logit" : `before ${layer.activation}`, figure(values.before[tile]), true],
        ...(isLogit ? [["probability: e^logit divided by the sum over all classes", percentage(result.probabilities[tile]), true]] : [[`after ${layer.activation}`, figure(values.after[tile]), true], slopeThere(layer.activation, values.before[tile])]),
      ]),
      isLogit ? null : activationPlot(layer.activation, values.before[tile]),
    ],
  };
}

function placeName(previous, { tile, y, x }) {
  if (!previous) return `pixel, row ${y}, column ${x}`;
  if (previous.kind === "dense") return `unit ${tile}`;
  return `map ${tile}, row ${y}, column ${x}`;
}

function kernelSlice(kernel, [height, width, inputs, outputs], input, output) {
  return Array.from({ length: height * width }, (_, i) => kernel[(i * inputs + input) * outputs + output]);
}

// The values under a kernel; outside the image they are 0.
function patchOf(source, layer, input, row, column) {
  const { height, width, channels } = layer.input;
  const values = [];
  for (let ky = 0; ky < layer.shape[0]; ky++) {
    for (let kx = 0; kx < layer.shape[1]; kx++) {
      const [y, x] = [row + ky - layer.padding.top, column + kx - layer.padding.left];
      const inside = y >= 0 && y < height && x >= 0 && x < width;
      values.push(inside ? source[(y * width + x) * channels + input] : 0);
    }
  }
  return values;
}

function numberGrid(values, height, width, limit, caption, wide = false) {
  const rows = Array.from({ length: height }, (_, y) =>
    make("tr", {}, ...Array.from({ length: width }, (_, x) => {
      const value = values[y * width + x];
      return make("td", { style: `background:${cssColour(value, limit)};color:${inkOn(value, limit)}` }, figure(value, 2));
    })),
  );
  return make("table", { class: wide ? "numbers wide" : "numbers" }, make("caption", {}, caption), make("tbody", {}, ...rows));
}

function sumList(rows) {
  const list = make("dl", { class: "sum" });
  for (const [name, value, total] of rows) {
    list.append(make("dt", { class: total ? "total" : null }, name), make("dd", { class: total ? "total" : null }, value));
  }
  return list;
}

const slopeThere = (name, x) => [`slope of ${name} at this point`, figure(ACTIVATIONS[name].slope(x))];

// The curve of an activation function with a point at x.
function activationPlot(name, x) {
  if (!name) return null;
  const { f, formula } = ACTIVATIONS[name];
  const reach = Math.max(4, Math.ceil(Math.abs(x) * 1.15));
  const points = Array.from({ length: 121 }, (_, i) => -reach + (i * reach) / 60).map((at) => [at, f(at)]);
  const heights = points.map(([, y]) => y);
  const [low, high] = [Math.min(0, ...heights), Math.max(...heights)];
  const [width, height, edge] = [280, 110, 14];
  const place = ([at, y]) => [
    edge + ((at + reach) / (2 * reach)) * (width - 2 * edge),
    height - edge - ((y - low) / (high - low || 1)) * (height - 2 * edge),
  ];
  const path = points.map((point, i) => `${i ? "L" : "M"}${place(point).map((n) => n.toFixed(1)).join(" ")}`).join("");
  const [zeroX, zeroY] = place([0, 0]);
  const [dotX, dotY] = place([x, f(x)]);
  const label = (at, y, content, anchor) => makeSvg("text", { x: at, y, "text-anchor": anchor }, content);
  return makeSvg("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${name} of ${figure(x)} is ${figure(f(x))}` },
    makeSvg("line", { class: "axis", x1: edge, x2: width - edge, y1: zeroY, y2: zeroY }),
    makeSvg("line", { class: "axis", x1: zeroX, x2: zeroX, y1: edge, y2: height - edge }),
    makeSvg("path", { class: "graph", d: path }),
    makeSvg("circle", { class: "dot", cx: dotX, cy: dotY, r: 5 }),
    label(edge, zeroY + 11, figure(-reach, 0), "start"), label(width - edge, zeroY + 11, figure(reach, 0), "end"),
    label(edge, 10, `${name}(x) = ${formula}`, "start"));
}
