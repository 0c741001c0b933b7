// Colours: negative values blue, zero neutral, positive values red, on one scale for each layer.

const RUN_COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8B4513", "#7F7F7F"];
const CLASS_COLOURS = [
  "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#8B4513", "#B8B000", "#6A3D9A",
];
const runColour = (number) => RUN_COLOURS[number % RUN_COLOURS.length];
const HALF = 255; // Steps of the scale on each side of zero.
const STOPS = {
  light: {
    negative: ["#f7f7f7", "#92c5de", "#2166ac", "#053061"],
    positive: ["#f7f7f7", "#f4a582", "#b2182b", "#67001f"],
  },
  dark: {
    negative: ["#20262e", "#2b6ca8", "#6cb6ff", "#d3eaff"],
    positive: ["#20262e", "#a8402f", "#ff8a70", "#ffe1d8"],
  },
};

let palette; // Uint32 [2 × HALF + 1], as the bytes red, green, blue, opacity.
let markColours;

function mixed(stops, share) {
  const place = share * (stops.length - 1);
  const below = Math.min(stops.length - 2, Math.floor(place));
  const channel = (text, at) => parseInt(text.slice(at, at + 2), 16);
  return [1, 3, 5].map((at) => {
    const [from, to] = [channel(stops[below], at), channel(stops[below + 1], at)];
    return Math.round(from + (to - from) * (place - below));
  });
}

function chooseTheme(theme) {
  document.documentElement.dataset.theme = theme;
  const { negative, positive } = STOPS[theme];
  palette = new Uint32Array(2 * HALF + 1);
  const bytes = new Uint8Array(palette.buffer);
  for (let i = -HALF; i <= HALF; i++) {
    const colour = mixed(i < 0 ? negative : positive, Math.abs(i) / HALF);
    bytes.set([...colour, 255], 4 * (i + HALF));
  }
  const style = getComputedStyle(document.documentElement);
  markColours = { from: style.getPropertyValue("--mark"), to: style.getPropertyValue("--reach"), off: style.getPropertyValue("--soft"), paper: style.getPropertyValue("--paper") };
}

const cssColour = (value, limit) => {
  const bytes = new Uint8Array(palette.buffer, 4 * colourIndex(value, limit), 3);
  return `rgb(${bytes.join(" ")})`;
};
const colourIndex = (value, limit) =>
  HALF + Math.max(-HALF, Math.min(HALF, Math.round((HALF * value) / (limit || 1))));

// Whether dark letters are legible on the colour of a value.
function inkOn(value, limit) {
  const [red, green, blue] = new Uint8Array(palette.buffer, 4 * colourIndex(value, limit), 3);
  return 0.299 * red + 0.587 * green + 0.114 * blue > 140 ? "#111" : "#fff";
}
