// The activation functions and their slopes, as Keras defines them.

const SELU_ALPHA = 1.6732632423543772;
const SELU_SCALE = 1.0507009873554805;
const LEAKY_SLOPE = 0.2;

// The error function, with a relative error below 1.2e-7 (W. H. Press et al., Numerical Recipes,
// chapter 6.2: a Chebyshev fit).
const ERF_FIT = [
  -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398,
  1.48851587, -0.82215223, 0.17087277,
];
function erf(x) {
  const t = 1 / (1 + Math.abs(x) / 2);
  const fit = ERF_FIT.reduceRight((sum, factor) => sum * t + factor, 0);
  const rest = t * Math.exp(-x * x + fit);
  return x >= 0 ? 1 - rest : rest - 1;
}

const sigmoid = (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));
const normalShare = (x) => 0.5 * (1 + erf(x / Math.SQRT2));
const normalDensity = (x) => Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);

// Each entry: the function, its slope, and its formula in words for a reader.
const ACTIVATIONS = {
  relu: { f: (x) => (x > 0 ? x : 0), slope: (x) => (x > 0 ? 1 : 0), formula: "max(0, x)" },
  sigmoid: {
    f: sigmoid,
    slope: (x) => sigmoid(x) * (1 - sigmoid(x)),
    formula: "1 / (1 + e^−x)",
  },
  tanh: { f: Math.tanh, slope: (x) => 1 - Math.tanh(x) ** 2, formula: "tanh(x)" },
  elu: {
    f: (x) => (x > 0 ? x : Math.expm1(x)),
    slope: (x) => (x > 0 ? 1 : Math.exp(x)),
    formula: "x if x > 0, otherwise e^x − 1",
  },
  selu: {
    f: (x) => SELU_SCALE * (x > 0 ? x : SELU_ALPHA * Math.expm1(x)),
    slope: (x) => SELU_SCALE * (x > 0 ? 1 : SELU_ALPHA * Math.exp(x)),
    formula: "1.05 x if x > 0, otherwise 1.76 (e^x − 1)",
  },
  gelu: {
    f: (x) => x * normalShare(x),
    slope: (x) => normalShare(x) + x * normalDensity(x),
    formula: "x · Φ(x), with the normal distribution Φ",
  },
  silu: {
    f: (x) => x * sigmoid(x),
    slope: (x) => sigmoid(x) * (1 + x * (1 - sigmoid(x))),
    formula: "x / (1 + e^−x)",
  },
  softplus: {
    f: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
    slope: sigmoid,
    formula: "log(1 + e^x)",
  },
  leaky_relu: {
    f: (x) => (x > 0 ? x : LEAKY_SLOPE * x),
    slope: (x) => (x > 0 ? 1 : LEAKY_SLOPE),
    formula: "x if x > 0, otherwise 0.2 x",
  },
};

function softmax(logits) {
  const highest = Math.max(...logits);
  const powers = Array.from(logits, (logit) => Math.exp(logit - highest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}
