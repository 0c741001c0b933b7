// The data of the page: its description, and the weights of each run at each recorded step.

const text = (id) => document.getElementById(id).textContent;
const DATA = JSON.parse(text("description"));
const CLASSES = DATA.data.classes;
const [HEIGHT, WIDTH, CHANNELS] = DATA.data.shape;
const KEPT_BYTES = 200e6; // Decoded weights that stay in memory.

function decodeBase64(encoded) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(encoded);
  const characters = atob(encoded);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes;
}

const RUNS = DATA.runs.map((run, number) => ({
  ...run,
  number,
  plan: planNetwork(run.layers, DATA.data.shape),
}));
const ALL_STEPS = [...new Set(RUNS.flatMap((run) => run.steps))].sort((a, b) => a - b);

// The newest recorded step of a run that is not after `step`.
const recordedStep = (run, step) => run.steps.findLast((recorded) => recorded <= step) ?? run.steps[0];

const decoded = new Map(); // By the name of the entry, the most recently used last.

// The kernel and bias of every layer of a run at a recorded step, by layer.
function weightsAt(run, step) {
  const name = `weights-${run.number}-${step}`;
  let layers = decoded.get(name);
  if (layers) decoded.delete(name);
  else layers = unpack(run.plan, decodeBase64(text(name)), run.bits);
  decoded.set(name, layers);
  let bytes = 0;
  for (const [key, kept] of [...decoded].reverse()) {
    bytes += kept.bytes;
    if (bytes > KEPT_BYTES && key !== name) decoded.delete(key);
  }
  return layers.byName;
}

// The value of a float16, by its bits: 1 for the sign, 5 for the exponent, 10 for the fraction.
function half(bits) {
  const exponent = (bits >> 10) & 31;
  const size = exponent ? 2 ** (exponent - 15) * (1 + (bits & 1023) / 1024) : 2 ** -14 * ((bits & 1023) / 1024);
  return bits & 0x8000 ? -size : size;
}

function widened(bytes) {
  const all = Float32Array.from({ length: 65536 }, (_, bits) => half(bits));
  return Float32Array.from(new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2), (bits) => all[bits]);
}

function unpack(plan, bytes, bits = 32) {
  const values = bits === 16 ? widened(bytes) : new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  const byName = {};
  let from = 0;
  for (const layer of plan) {
    if (!layer.shape) continue;
    const size = layer.shape.reduce((product, length) => product * length, 1);
    const units = layer.shape.at(-1);
    byName[layer.name] = {
      kernel: values.subarray(from, from + size),
      bias: values.subarray(from + size, from + size + units),
    };
    from += size + units;
  }
  return { byName, bytes: values.byteLength };
}

// The test images in the page: the first `sample` are a fair sample, the others are mistakes.
const EXAMPLES = (() => {
  const bytes = decodeBase64(text("images"));
  const size = HEIGHT * WIDTH * CHANNELS;
  return DATA.examples.labels.map((label, index) => ({
    index,
    label,
    number: DATA.examples.numbers[index],
    mistakes: DATA.examples.mistakes[index],
    pixels: bytes.subarray(index * size, (index + 1) * size),
  }));
})();
const SAMPLE = EXAMPLES.slice(0, DATA.examples.sample);
