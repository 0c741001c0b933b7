// Starts the page, and draws it after every change.

function draw(kinds) {
  if (kinds.has("picture")) {
    state.pixels = changedPixels(state.prepared, state.change);
    drawStages();
  }
  if (kinds.has("picture") || kinds.has("network")) {
    compute();
    drawAnswers();
    drawTables();
    drawAccuracies();
    drawCurve();
    markOldMaps();
    scheduleCounting();
    scheduleSensitivity();
  } else drawTables();
  drawBands();
  drawCloser();
}

// Builds everything again: other runs, a different width, or different colours.
function rebuild() {
  buildBands();
  fitSlider();
  refresh("network");
}

function buildChoice() {
  if (RUNS.length < 2) return;
  const buttons = RUNS.map((run) => {
    const button = make("button", { type: "button", title: run.facts, onclick: () => choose(run.number) }, make("i", { class: "swatch", style: `background:${runColour(run.number)}` }), run.label);
    return button;
  });
  const show = () => buttons.forEach((button, number) => button.setAttribute("aria-pressed", state.shown.includes(number)));
  const choose = (number) => {
    const others = state.shown.filter((shown) => shown !== number);
    if (others.length === state.shown.length) others.push(number);
    if (!others.length || others.length > MAXIMUM_SHOWN) return;
    state.shown = others.sort((a, b) => a - b);
    state.narrow = 0;
    unpin();
    show();
    rebuild();
  };
  element("choice").append(make("span", { class: "note" }, "Next to each other:"), ...buttons);
  show();
}

function startTheme() {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const set = (theme) => {
    chooseTheme(theme);
    element("theme").setAttribute("aria-pressed", theme === "dark");
  };
  set(dark.matches ? "dark" : "light");
  const change = (theme) => {
    set(theme);
    repaintMaps();
    refresh("network");
  };
  dark.addEventListener("change", () => change(dark.matches ? "dark" : "light"));
  element("theme").addEventListener("click", () => change(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
}

function start() {
  const what = CHANNELS > 1 ? "Choose a photo" : /mnist|digits/.test(DATA.data.name) && DATA.data.name !== "fashion_mnist" ? "Draw a digit" : "Draw or choose an image";
  element("headline").textContent = `${what}. Watch your own network answer, layer by layer.`;
  const cautions = [DATA.data.caution, ...RUNS.map((run) => run.rounding && `${run.label}: ${run.rounding}`)];
  element("caution").textContent = cautions.filter(Boolean).join(" ");
  element("caution").hidden = !element("caution").textContent;
  startTheme();
  buildChoice();
  startSketch();
  startSources();
  startTraining();
  rebuild();
  if (CHANNELS > 1) setExample(EXAMPLES[0]);
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth === width) return;
    width = window.innerWidth;
    rebuild();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    endTour();
    unpin();
  });
  startTour();
}

start();

// For tests and for the curious: the page's parts, in the browser's console.
window.live = { state, preparePhoto, RUNS, EXAMPLES, answerTimes, forward, backward, toInput, weightsAt, prepare, setPicture, setExample, setStep, softmax, imageOf, accuracies, rankCorrelation, METHODS, maximize, topImages, inSlices, planNetwork, unpack, decodeBase64, parts: { drawBands, drawAnswers, drawTables, drawCurve, drawStages, compute, drawCloser } };
