// Scales images exactly as Pillow does (Resample.c): the same filters, one axis after the other.

const cubic = (x) => {
  const a = -0.5;
  const t = Math.abs(x);
  if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  return t < 2 ? (((t - 5) * t + 8) * t - 4) * a : 0;
};
const FILTERS = {
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, weight: cubic },
};

// An image of float values is { values: Float32Array, height, width, channels }.
const imageOf = (height, width, channels = 1) => ({
  values: new Float32Array(height * width * channels),
  height,
  width,
  channels,
});

// For each output pixel: the first input pixel, and the weights of it and the following ones.
function coefficients(inputSize, outputSize, filter) {
  const scale = inputSize / outputSize;
  const stretch = Math.max(scale, 1);
  const support = filter.support * stretch;
  return Array.from({ length: outputSize }, (_, index) => {
    const centre = (index + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const last = Math.min(inputSize, Math.trunc(centre + support + 0.5));
    const weights = [];
    for (let i = first; i < last; i++) weights.push(filter.weight((i - centre + 0.5) / stretch));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return { first, weights: Float64Array.from(weights, (weight) => (sum ? weight / sum : weight)) };
  });
}

// Scales an image. With `bytes`, values are rounded to whole numbers from 0 to 255 after each
// axis, as for images of bytes.
function resize(image, height, width, name, bytes = false) {
  const filter = FILTERS[name];
  const wide = image.width === width ? image : resizeRows(image, width, filter, bytes);
  if (image.height === height) return wide;
  return transposed(resizeRows(transposed(wide), height, filter, bytes));
}

function resizeRows(image, width, filter, bytes) {
  const { height, channels, values } = image;
  const result = imageOf(height, width, channels);
  const places = coefficients(image.width, width, filter);
  for (let column = 0; column < width; column++) {
    const { first, weights } = places[column];
    for (let row = 0; row < height; row++) {
      for (let channel = 0; channel < channels; channel++) {
        let from = (row * image.width + first) * channels + channel;
        let sum = 0;
        for (let i = 0; i < weights.length; i++, from += channels) sum += values[from] * weights[i];
        if (bytes) sum = Math.min(255, Math.max(0, Math.floor(sum + 0.5)));
        result.values[(row * width + column) * channels + channel] = sum;
      }
    }
  }
  return result;
}

function transposed(image) {
  const { height, width, channels, values } = image;
  const result = imageOf(width, height, channels);
  let from = 0;
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const to = (column * height + row) * channels;
      for (let channel = 0; channel < channels; channel++) result.values[to + channel] = values[from++];
    }
  }
  return result;
}

// A part of an image; `bottom` and `right` are exclusive.
function crop(image, [top, left, bottom, right]) {
  const result = imageOf(bottom - top, right - left, image.channels);
  const length = (right - left) * image.channels;
  for (let row = top; row < bottom; row++) {
    const from = (row * image.width + left) * image.channels;
    result.values.set(image.values.subarray(from, from + length), (row - top) * length);
  }
  return result;
}

// Rounds like Python: halves to the nearest even number.
function roundEven(value) {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 ? floor + 1 : floor;
}

const toBytes = (image) => ({
  ...image,
  values: image.values.map((value) => roundEven(Math.min(1, Math.max(0, value)) * 255)),
});
