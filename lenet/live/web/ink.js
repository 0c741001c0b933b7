// Separates ink from its background, step by step as lenet/data/ink.py does. The constants, with
// their explanations, are in that file.

const INK = DATA.preparation.constants;

class NothingDrawn extends Error {}

// Whether the drawing is darker than its background.
function isDarkOnLight(gray) {
  const edge = edgeOf(gray);
  if (maximum(edge) - minimum(edge) < INK.EVEN) return edge[0] > mean(gray.values);
  const small = shrunk(gray, INK.STROKE_PIXELS);
  const across = windowWeights(small.height);
  const down = windowWeights(small.width);
  let skewness = 0;
  for (const share of INK.STROKE_WINDOWS) {
    const size = Math.max(3, Math.trunc(Math.max(small.height, small.width) * share));
    const around = slide(small, size, "mean");
    let spread = 0;
    let third = 0;
    small.values.forEach((value, i) => {
      const difference = value - around.values[i];
      const weight = across[Math.floor(i / small.width)] * down[i % small.width];
      spread += weight * difference ** 2;
      third += weight * difference ** 3;
    });
    skewness += third / Math.max(spread, 1e-9) ** 1.5;
  }
  return skewness < 0;
}

const windowWeights = (size) =>
  Array.from({ length: size }, (_, i) => Math.sin((Math.PI * (i + 0.5)) / size) ** 3);

// The amount of ink on each pixel, from 0 for paper to 1, for dark strokes on light paper.
function inkOf(gray) {
  const noise = noiseOf(gray);
  const smooth = noise > INK.NOISY ? slide(gray, 3, "mean") : gray;
  const closed = closing(shrunk(smooth, INK.PAPER_PIXELS), INK.PAPER_WINDOW);
  const paper = resize(slide(closed, 3, "min"), gray.height, gray.width, "bilinear").values;
  const darkness = new Float32Array(paper.length);
  for (let i = 0; i < paper.length; i++) {
    darkness[i] = (paper[i] - smooth.values[i]) / Math.max(paper[i], INK.DARKEST_PAPER);
  }
  const limit = Math.max(maximum(darkness) / 2, INK.MINIMUM_CONTRAST / 2);
  const strokes = darkness.filter((value) => value > limit);
  const rest = darkness.filter((value) => value <= limit);
  if (!strokes.length) throw new NothingDrawn(INK.NOTHING_DRAWN);
  const middle = quantile(rest, 0.5);
  let floor = middle + 3 * 1.4826 * quantile(rest.map((value) => Math.abs(value - middle)), 0.5);
  const full = quantile(strokes, 0.95);
  if (noise > 0) floor = Math.max(floor, INK.FAINT * full);
  if (full - floor < Math.max(INK.MINIMUM_CONTRAST, INK.NOISE_PEAK * noise)) {
    throw new NothingDrawn(INK.NOTHING_DRAWN);
  }
  const values = darkness.map((value) => Math.min(1, Math.max(0, (value - floor) / (full - floor))));
  return { ...gray, values };
}

function noiseOf({ values, height, width }) {
  if (width < 2) return 0;
  const steps = new Float32Array(height * (width - 1));
  let next = 0;
  for (let row = 0; row < height; row++) {
    for (let i = row * width + 1; i < (row + 1) * width; i++) {
      steps[next++] = Math.abs(values[i] - values[i - 1]);
    }
  }
  return quantile(steps, 0.5);
}

// The area of the drawing, as a mask: all pieces of ink with a narrow margin.
function drawnPart(ink) {
  const factor = Math.ceil(Math.max(ink.height, ink.width) / INK.COARSE_PIXELS);
  const coarse = strongestOfBlocks(ink, factor);
  const found = piecesOf(coarse).filter((piece) => maximum(piece.map((i) => coarse.values[i])) > INK.FULL_INK);
  const inside = found.filter((piece) => !isSurroundings(piece, coarse));
  let drawn = inside.length ? inside : found;
  const largest = Math.max(0, ...drawn.map((piece) => piece.length));
  drawn = drawn.filter((piece) => piece.length >= INK.SPECK * largest);
  const kept = imageOf(coarse.height, coarse.width);
  for (const i of drawn.flat()) kept.values[i] = 1;
  const box = drawn.length ? extentOf(drawn.flat(), coarse.width) : null;
  const extent = box ? Math.max(box.bottom - box.top, box.right - box.left) + 1 : 0;
  if (extent < Math.max(2, INK.MINIMUM_EXTENT * Math.max(coarse.height, coarse.width))) {
    throw new NothingDrawn(INK.NOTHING_DRAWN);
  }
  const around = slide(kept, 2 * (1 + Math.floor(extent / 10)) + 1, "max");
  const part = imageOf(ink.height, ink.width);
  for (let y = 0, i = 0; y < ink.height; y++) {
    const from = Math.floor(y / factor) * coarse.width;
    for (let x = 0; x < ink.width; x++) part.values[i++] = around.values[from + Math.floor(x / factor)];
  }
  return part;
}

function strongestOfBlocks(image, factor) {
  const result = imageOf(Math.ceil(image.height / factor), Math.ceil(image.width / factor));
  for (let y = 0, i = 0; y < image.height; y++) {
    const from = Math.floor(y / factor) * result.width;
    for (let x = 0; x < image.width; x++, i++) {
      const to = from + Math.floor(x / factor);
      if (image.values[i] > result.values[to]) result.values[to] = image.values[i];
    }
  }
  return result;
}

// The connected pieces of ink, corners included, each as the indices of its pixels.
function piecesOf({ values, height, width }) {
  const remaining = Uint8Array.from(values, (value) => value > INK.INK);
  const pieces = [];
  for (let start = 0; start < values.length; start++) {
    if (!remaining[start]) continue;
    remaining[start] = 0;
    const piece = [start];
    for (let next = 0; next < piece.length; next++) {
      const row = Math.floor(piece[next] / width);
      const column = piece[next] % width;
      for (let y = Math.max(0, row - 1); y <= Math.min(height - 1, row + 1); y++) {
        for (let x = Math.max(0, column - 1); x <= Math.min(width - 1, column + 1); x++) {
          if (!remaining[y * width + x]) continue;
          remaining[y * width + x] = 0;
          piece.push(y * width + x);
        }
      }
    }
    pieces.push(piece);
  }
  return pieces;
}

function extentOf(piece, width) {
  const rows = piece.map((i) => Math.floor(i / width));
  const columns = piece.map((i) => i % width);
  return { top: minimum(rows), bottom: maximum(rows), left: minimum(columns), right: maximum(columns) };
}

// Whether a piece of "ink" is the table around the paper, a shadow's edge or a thumb.
function isSurroundings(piece, { height, width }) {
  const last = [height - 1, width - 1];
  const box = extentOf(piece, width);
  const ends = [[box.top, box.bottom], [box.left, box.right]];
  let sides = 0;
  ends.forEach(([low, high], axis) => {
    const near = INK.EDGE * last[axis];
    sides += (low <= near) + (high >= last[axis] - near);
  });
  const middle = [
    mean(piece.map((i) => Math.floor(i / width))) / Math.max(last[0], 1),
    mean(piece.map((i) => i % width)) / Math.max(last[1], 1),
  ];
  const isAside = middle.some((place) => Math.abs(place - 0.5) > 0.5 - INK.MARGIN);
  return sides >= 3 || (sides > 0 && isAside);
}

// Scales by averaging until the longer side has at most this many pixels.
function shrunk(image, size) {
  const scale = Math.min(1, size / Math.max(image.height, image.width));
  const [height, width] = [image.height, image.width].map((n) => Math.max(1, roundEven(n * scale)));
  return resize(image, height, width, "box");
}

// A morphological closing: removes dark parts narrower than a share of the longer side. First the
// maximum, then the minimum of each window, with the pixels at the edge repeated.
function closing(image, share) {
  const half = Math.max(1, Math.floor(Math.trunc(Math.max(image.height, image.width) * share) / 2));
  const size = 2 * half + 1;
  const wide = transposed(slideRows(image, size, "max", [2 * half, 2 * half]));
  const both = slideRows(wide, size, "max", [2 * half, 2 * half]);
  return slideRows(transposed(slideRows(both, size, "min", [0, 0])), size, "min", [0, 0]);
}

// A statistic ("mean", "min" or "max") of a square window around each pixel, with the pixels at
// the edge repeated.
function slide(image, size, statistic) {
  const margins = [Math.floor(size / 2), size - 1 - Math.floor(size / 2)];
  const rows = slideRows(image, size, statistic, margins);
  return transposed(slideRows(transposed(rows), size, statistic, margins));
}

// A statistic of a window that moves along each row, after the first and last value of the row
// have been repeated as often as `margins` says.
function slideRows(image, size, statistic, margins) {
  const { height, width, values } = image;
  const padded = new Float64Array(width + margins[0] + margins[1]);
  const result = imageOf(height, padded.length - size + 1);
  const along = statistic === "mean" ? slideMean : slideMaximum;
  const sign = statistic === "min" ? -1 : 1;
  const falling = new Int32Array(padded.length);
  for (let row = 0; row < height; row++) {
    padded.fill(sign * values[row * width], 0, margins[0]);
    for (let i = 0; i < width; i++) padded[margins[0] + i] = sign * values[row * width + i];
    padded.fill(sign * values[(row + 1) * width - 1], margins[0] + width);
    along(padded, size, result.values, row * result.width, falling);
  }
  if (sign < 0) for (let i = 0; i < result.values.length; i++) result.values[i] *= sign;
  return result;
}

function slideMean(values, size, result, from) {
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    sum += values[i];
    if (i >= size) sum -= values[i - size];
    if (i >= size - 1) result[from + i - size + 1] = sum / size;
  }
}

// Keeps the indices of a falling row of values, so that the first is always the maximum.
function slideMaximum(values, size, result, from, falling) {
  let first = 0;
  let end = 0;
  for (let i = 0; i < values.length; i++) {
    while (end > first && values[falling[end - 1]] <= values[i]) end--;
    falling[end++] = i;
    if (falling[first] <= i - size) first++;
    if (i >= size - 1) result[from + i - size + 1] = values[falling[first]];
  }
}

function edgeOf({ values, height, width }) {
  const edge = [...values.subarray(0, width), ...values.subarray((height - 1) * width)];
  for (let row = 0; row < height; row++) edge.push(values[row * width], values[(row + 1) * width - 1]);
  return edge;
}

function maximum(values) {
  let best = -Infinity;
  for (let i = 0; i < values.length; i++) if (values[i] > best) best = values[i];
  return best;
}
function minimum(values) {
  let best = Infinity;
  for (let i = 0; i < values.length; i++) if (values[i] < best) best = values[i];
  return best;
}
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

// A quantile with linear interpolation, as NumPy's percentile.
function quantile(values, share) {
  const copy = Float64Array.from(values);
  const place = share * (copy.length - 1);
  const below = Math.floor(place);
  const low = selected(copy, below);
  if (place === below) return low;
  // The values after `below` are not smaller than it.
  return low + (minimum(copy.subarray(below + 1)) - low) * (place - below);
}

// The value that would be at an index if the values were sorted (C. A. R. Hoare, Find, 1961).
// Afterwards, no value before the index is larger, and none after it is smaller.
function selected(values, index) {
  let [low, high] = [0, values.length - 1];
  while (low < high) {
    const pivot = values[(low + high) >> 1];
    let [i, j] = [low, high];
    while (i <= j) {
      while (values[i] < pivot) i++;
      while (values[j] > pivot) j--;
      if (i <= j) {
        const value = values[i];
        values[i++] = values[j];
        values[j--] = value;
      }
    }
    if (index <= j) high = j;
    else if (index >= i) low = i;
    else break;
  }
  return values[index];
}
