// The time bar: a slider over the recorded steps, a film, and the accuracy curves.

const FRAME_TIME = 350; // Milliseconds for each step of the film.
let film = null;

const shownSteps = () => [...new Set(shownRuns().flatMap((run) => run.steps))].sort((a, b) => a - b);

function startTraining() {
  const slider = element("step");
  slider.addEventListener("input", (event) => {
    stopFilm();
    setStep(shownSteps()[slider.value], event);
  });
  element("play").addEventListener("click", () => (film ? stopFilm() : playFilm()));
  fitSlider();
}

function fitSlider() {
  const steps = shownSteps();
  const slider = element("step");
  slider.max = steps.length - 1;
  state.step = recordedStep({ steps }, state.step);
  slider.value = steps.indexOf(state.step);
}

function setStep(step, event) {
  state.step = step;
  element("step").value = shownSteps().indexOf(step);
  refresh("network", event);
}

function playFilm() {
  const steps = shownSteps();
  let at = state.step === steps.at(-1) ? 0 : steps.indexOf(state.step);
  setStep(steps[at]);
  element("play").textContent = "❚❚";
  element("play").setAttribute("aria-label", "Stop the film");
  film = setInterval(() => {
    at += 1;
    if (at >= steps.length) stopFilm();
    else setStep(steps[at]);
  }, FRAME_TIME);
}

function stopFilm() {
  clearInterval(film);
  film = null;
  element("play").textContent = "▶";
  element("play").setAttribute("aria-label", "Play the training as a film");
}

// The place of a step on the slider, from 0 to 1, also between recorded steps.
function placeOfStep(step, steps) {
  if (steps.length < 2) return 0;
  const next = steps.findIndex((recorded) => recorded >= step);
  if (next < 0) return 1;
  if (next === 0) return 0;
  const share = (step - steps[next - 1]) / (steps[next] - steps[next - 1]);
  return (next - 1 + share) / (steps.length - 1);
}

function drawCurve() {
  const svg = element("curve");
  const steps = shownSteps();
  const [width, height, thumb] = [svg.clientWidth || 600, svg.clientHeight || 50, 8];
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const x = (step) => thumb + placeOfStep(step, steps) * (width - 2 * thumb);
  const y = (accuracy) => height - 3 - accuracy * (height - 6);
  const guess = y(1 / CLASSES.length);
  const nodes = [makeSvg("line", { class: "guess", x1: 0, x2: width, y1: guess, y2: guess })];
  for (const run of shownRuns()) {
    const colour = runColour(run.number);
    const { train, test } = run.curves;
    const d = train.map(([step, value], i) => `${i ? "L" : "M"}${x(step).toFixed(1)} ${y(value).toFixed(1)}`).join("");
    nodes.push(makeSvg("path", { d: d || "M0 0", stroke: colour }));
    for (const [step, value] of test) nodes.push(makeSvg("circle", { cx: x(step), cy: y(value), r: 3.5, fill: colour }));
  }
  nodes.push(makeSvg("line", { class: "now", x1: x(state.step), x2: x(state.step), y1: 0, y2: height }));
  svg.replaceChildren(...nodes);
  const last = steps.at(-1);
  element("when").textContent = `Step ${thousands(state.step)} of ${thousands(last)}`;
  element("curve-note").textContent = state.step === 0 ? "before training: random weights" : "accuracy: — training, ● test";
}
