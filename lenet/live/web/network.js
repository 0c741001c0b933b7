// The network: the forward pass of every layer, and the gradient back to the image.
//
// Values are in TensorFlow's order: [height, width, channels] in one row, kernels as
// [height, width, inputs, outputs]. Sums are in 64 bits and are then rounded to 32 bits.

// Adds to each layer the shapes of its input and output: { height, width, channels }.
function planNetwork(layers, imageShape) {
  let [height, width, channels] = imageShape;
  return layers.map((layer, index) => {
    const input = { height, width, channels };
    if (layer.kind === "conv") {
      const [kernelHeight, kernelWidth, , outputs] = layer.shape;
      const same = layer.padding === "same";
      const padding = { top: 0, left: 0 };
      if (same) {
        padding.top = Math.floor((kernelHeight - 1) / 2);
        padding.left = Math.floor((kernelWidth - 1) / 2);
      } else {
        height -= kernelHeight - 1;
        width -= kernelWidth - 1;
      }
      channels = outputs;
      return { ...layer, index, input, output: { height, width, channels }, padding };
    }
    if (layer.kind === "pool") {
      height = Math.floor(height / layer.size);
      width = Math.floor(width / layer.size);
    } else {
      [height, width, channels] = [1, 1, layer.shape[1]];
    }
    return { ...layer, index, input, output: { height, width, channels } };
  });
}

const sizeOf = ({ height, width, channels }) => height * width * channels;

// The image as the network's input: brightness from 0 to 1, minus the mean of each channel.
function toInput(pixels, mean) {
  const input = new Float32Array(pixels.length);
  for (let i = 0; i < pixels.length; i++) {
    const value = Math.fround(pixels[i] / 255);
    input[i] = mean ? value - Math.fround(mean[i % mean.length]) : value;
  }
  return input;
}

// Runs the network. `off` contains, by layer, { units: Set, bias: boolean } for what is switched
// off: a unit's output is 0, a layer's biases are 0. Returns for each layer { before, after }:
// its values before and after the activation (for pooling only `after`).
function forward(plan, weights, input, off = {}) {
  const outputs = [];
  let x = input;
  for (const layer of plan) {
    if (layer.kind === "pool") {
      x = pool(layer, x);
      outputs.push({ after: x });
      continue;
    }
    const { kernel, bias } = weights[layer.name];
    const change = off[layer.name];
    const before = layer.kind === "conv" ? convolve(layer, x, kernel) : multiply(layer, x, kernel);
    if (!change?.bias) {
      const outputsOfLayer = bias.length;
      for (let i = 0; i < before.length; i++) before[i] += bias[i % outputsOfLayer];
    }
    let after = before;
    if (layer.activation) {
      const { f } = ACTIVATIONS[layer.activation];
      after = new Float32Array(before.length);
      for (let i = 0; i < before.length; i++) after[i] = f(before[i]);
    }
    if (change?.units.size) {
      if (after === before) after = before.slice();
      for (const unit of change.units) {
        for (let i = unit; i < after.length; i += layer.output.channels) after[i] = 0;
      }
    }
    x = after;
    outputs.push({ before, after });
  }
  return outputs;
}

function convolve(layer, x, kernel) {
  const { height, width, channels: inputs } = layer.input;
  const { height: rows, width: columns, channels: units } = layer.output;
  const [kernelHeight, kernelWidth] = layer.shape;
  const { top, left } = layer.padding;
  const result = new Float32Array(rows * columns * units);
  const sums = new Float64Array(units);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      sums.fill(0);
      for (let ky = 0; ky < kernelHeight; ky++) {
        const y = row + ky - top;
        if (y < 0 || y >= height) continue;
        for (let kx = 0; kx < kernelWidth; kx++) {
          const place = column + kx - left;
          if (place < 0 || place >= width) continue;
          const from = (y * width + place) * inputs;
          const base = (ky * kernelWidth + kx) * inputs;
          for (let input = 0; input < inputs; input++) {
            const value = x[from + input];
            if (value === 0) continue;
            const first = (base + input) * units;
            for (let unit = 0; unit < units; unit++) sums[unit] += value * kernel[first + unit];
          }
        }
      }
      result.set(sums, (row * columns + column) * units);
    }
  }
  return result;
}

function multiply(layer, x, kernel) {
  const units = layer.output.channels;
  const sums = new Float64Array(units);
  for (let input = 0; input < x.length; input++) {
    const value = x[input];
    if (value === 0) continue;
    const first = input * units;
    for (let unit = 0; unit < units; unit++) sums[unit] += value * kernel[first + unit];
  }
  return Float32Array.from(sums);
}

function pool(layer, x) {
  const result = new Float32Array(sizeOf(layer.output));
  for (let i = 0; i < result.length; i++) result[i] = x[strongest(layer, x, i)];
  return result;
}

// The index of the input value that max pooling passes on to output `index`.
function strongest(layer, x, index) {
  const { width, channels } = layer.input;
  const channel = index % channels;
  const place = (index - channel) / channels;
  const row = Math.floor(place / layer.output.width) * layer.size;
  const column = (place % layer.output.width) * layer.size;
  let best = (row * width + column) * channels + channel;
  for (let y = row; y < row + layer.size; y++) {
    for (let left = column; left < column + layer.size; left++) {
      const candidate = (y * width + left) * channels + channel;
      if (x[candidate] > x[best]) best = candidate;
    }
  }
  return best;
}

// The gradient of sum(gradient × output of layer `last`) with respect to the input of every layer
// from 0 to `last`. The gradient is with respect to the output before the activation.
// Returns an array: its entry i is the gradient at the input of layer i.
function backward(plan, weights, input, outputs, last, gradient) {
  const gradients = [];
  let g = gradient; // Before the activation of the layer.
  for (let index = last; index >= 0; index--) {
    const layer = plan[index];
    if (index < last && layer.activation) g = throughActivation(layer, outputs[index].before, g);
    const x = index ? outputs[index - 1].after : input;
    if (layer.kind === "pool") g = backThroughPool(layer, x, g);
    else if (layer.kind === "conv") g = backThroughConvolution(layer, weights[layer.name].kernel, g);
    else g = backThroughDense(layer, weights[layer.name].kernel, g);
    gradients[index] = g;
  }
  return gradients;
}

function throughActivation(layer, before, gradient) {
  const { slope } = ACTIVATIONS[layer.activation];
  return gradient.map((value, i) => (value === 0 ? 0 : value * slope(before[i])));
}

function backThroughPool(layer, x, gradient) {
  const result = new Float32Array(x.length);
  for (let i = 0; i < gradient.length; i++) result[strongest(layer, x, i)] += gradient[i];
  return result;
}

function backThroughConvolution(layer, kernel, gradient) {
  const { height, width, channels: inputs } = layer.input;
  const { height: rows, width: columns, channels: units } = layer.output;
  const [kernelHeight, kernelWidth] = layer.shape;
  const { top, left } = layer.padding;
  const result = new Float32Array(height * width * inputs);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const from = (row * columns + column) * units;
      if (gradient.subarray(from, from + units).every((value) => value === 0)) continue;
      for (let ky = 0; ky < kernelHeight; ky++) {
        const y = row + ky - top;
        if (y < 0 || y >= height) continue;
        for (let kx = 0; kx < kernelWidth; kx++) {
          const place = column + kx - left;
          if (place < 0 || place >= width) continue;
          const to = (y * width + place) * inputs;
          const base = (ky * kernelWidth + kx) * inputs;
          for (let input = 0; input < inputs; input++) {
            const first = (base + input) * units;
            let sum = 0;
            for (let unit = 0; unit < units; unit++) {
              sum += gradient[from + unit] * kernel[first + unit];
            }
            result[to + input] += sum;
          }
        }
      }
    }
  }
  return result;
}

function backThroughDense(layer, kernel, gradient) {
  const units = layer.output.channels;
  const result = new Float32Array(sizeOf(layer.input));
  for (let input = 0; input < result.length; input++) {
    let sum = 0;
    const first = input * units;
    for (let unit = 0; unit < units; unit++) sum += gradient[unit] * kernel[first + unit];
    result[input] = sum;
  }
  return result;
}

// A region is { top, left, bottom, right }, the last two exclusive.

// The region of a layer's input on which a region of its output depends.
function reachBack(layer, region) {
  const { height, width } = layer.input;
  if (layer.kind === "dense") return { top: 0, left: 0, bottom: height, right: width };
  const [scale, extra] = layer.kind === "pool" ? [layer.size, [layer.size, layer.size]] : [1, layer.shape];
  const { top, left } = layer.padding ?? { top: 0, left: 0 };
  return clipped(
    {
      top: region.top * scale - top,
      left: region.left * scale - left,
      bottom: (region.bottom - 1) * scale - top + extra[0],
      right: (region.right - 1) * scale - left + extra[1],
    },
    layer.input,
  );
}

// The region of a layer's output that depends on a region of its input.
function reachForward(layer, region) {
  const { height, width } = layer.output;
  if (layer.kind === "dense") return { top: 0, left: 0, bottom: height, right: width };
  if (layer.kind === "pool") {
    return clipped(
      {
        top: Math.floor(region.top / layer.size),
        left: Math.floor(region.left / layer.size),
        bottom: Math.floor((region.bottom - 1) / layer.size) + 1,
        right: Math.floor((region.right - 1) / layer.size) + 1,
      },
      layer.output,
    );
  }
  const { top, left } = layer.padding;
  return clipped(
    {
      top: region.top + top - layer.shape[0] + 1,
      left: region.left + left - layer.shape[1] + 1,
      bottom: region.bottom + top,
      right: region.right + left,
    },
    layer.output,
  );
}

function clipped(region, { height, width }) {
  return {
    top: Math.max(0, region.top),
    left: Math.max(0, region.left),
    bottom: Math.min(height, region.bottom),
    right: Math.min(width, region.right),
  };
}
