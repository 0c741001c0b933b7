// The answer of each run: in short at the top, and with all classes in the last band.

const MOST_CLASSES = 15; // Rows of the table of classes.

const tables = new Map(); // By run number: the rows of its table.

function buildAnswers() {
  const runs = shownRuns();
  const cells = runs.map((run, index) => {
    const parts = {
      best: make("div", { class: "best" }), name: make("div", { class: "name" }),
      detail: make("div", { class: "detail" }), accuracy: make("div", { class: "detail accuracy" }),
    };
    parts.name.append(make("i", { class: "swatch", style: `background:${runColour(run.number)}` }), run.label);
    parts.name.title = `${run.label}. ${run.facts}`;
    const words = make("div", { class: "words" }, parts.name, parts.detail, parts.accuracy);
    const node = make("div", { class: "answer", "data-run": run.number }, parts.best, words);
    if (isNarrow() && runs.length > 1) {
      node.setAttribute("role", "button");
      node.tabIndex = 0;
      node.style.opacity = index === state.narrow ? 1 : 0.55;
      node.addEventListener("click", () => {
        state.narrow = index;
        rebuild();
      });
    }
    return { node, parts };
  });
  element("answers").style.setProperty("--runs", runs.length);
  element("answers").replaceChildren(...cells.map(({ node }) => node));
  runs.forEach((run, index) => (answerParts[run.number] = cells[index].parts));
}
const answerParts = {};

function drawAnswers() {
  for (const run of shownRuns()) {
    const result = state.results.get(run.number);
    const { best, detail } = answerParts[run.number];
    const step = `step ${thousands(recordedStep(run, state.step))}`;
    const name = result ? CLASSES[result.best] : "–";
    best.textContent = name;
    best.title = name;
    best.classList.toggle("long", name.length > 2);
    detail.textContent = result ? `${percentage(result.probabilities[result.best])} sure at ${step}` : `No image yet, ${step}`;
    const parts = [];
    if (result && state.label !== null && result.best !== state.label) parts.push(` Wrong: it is ${CLASSES[state.label]}.`);
    if (parts.length) detail.append(make("span", { class: "off" }, ...parts));
  }
}

function answerBand(runs) {
  tables.clear();
  const cells = runs.map((run) => {
    const rows = CLASSES.slice(0, MOST_CLASSES).map(() => {
      const row = {
        name: make("th", { scope: "row" }), logit: make("td", { class: "number" }), logitBar: make("i"),
        share: make("td", { class: "number" }), shareBar: make("i"),
      };
      row.logitCell = make("td", { class: "bar" }, row.logitBar);
      row.node = make("tr", { tabindex: 0 }, row.name, row.logitCell, row.logit, make("td", { class: "bar" }, row.shareBar), row.share);
      row.point = (pin) => pointAt({ run, layer: logitsLayer(run), kind: "logit", tile: row.unit, y: 0, x: 0 }, pin);
      row.node.addEventListener("pointerenter", (event) => event.pointerType !== "touch" && row.point(false));
      row.node.addEventListener("pointerleave", () => pointAt(null, false));
      row.node.addEventListener("focus", () => row.node.matches(":focus-visible") && row.point(false));
      row.node.addEventListener("click", () => row.point(true));
      row.node.addEventListener("keydown", (event) => event.key === "Enter" && row.point(true));
      return row;
    });
    tables.set(run.number, rows);
    const head = make("tr", {}, ...[["class", "18%"], ["logit", "17%"], ["", "19%"], ["probability", "22%"], ["", "24%"]].map(([title, width]) => make("th", { scope: "col", style: `width:${width}` }, title)));
    return make("div", { class: "cell" }, make("table", { class: "classes" }, make("thead", {}, head), make("tbody", {}, ...rows.map((row) => row.node))));
  });
  const layer = logitsLayer(runs[0]);
  return band(
    "answer", "Answer", `${layer.name}: ${CLASSES.length} units, then softmax`,
    "The last layer computes one number for each class, its logit. Softmax turns the logits into " +
    "probabilities, which are positive and sum to 1. The largest is the answer.",
    cells,
  );
}

function drawTables() {
  for (const run of visibleRuns()) {
    const result = state.results.get(run.number);
    const order = [...CLASSES.keys()];
    if (CLASSES.length > MOST_CLASSES && result) order.sort((a, b) => result.logits[b] - result.logits[a]);
    const limit = result ? largest(result.logits) : 1;
    tables.get(run.number).forEach((row, index) => {
      const unit = order[index];
      row.unit = unit;
      row.name.textContent = CLASSES[unit];
      row.name.title = CLASSES[unit];
      const logit = result?.logits[unit] ?? 0;
      const share = result?.probabilities[unit] ?? 0;
      row.node.classList.toggle("best", Boolean(result) && unit === result.best);
      row.node.classList.toggle("pointed", state.pointed?.kind === "logit" && state.pointed.run === run && state.pointed.tile === unit);
      row.logit.textContent = result ? figure(logit, 2) : "";
      row.share.textContent = result ? percentage(share) : "";
      row.logitCell.style.setProperty("--middle", "50%");
      const length = (50 * Math.abs(logit)) / (limit || 1);
      row.logitBar.style.cssText = `width:${length}%;margin-left:${logit < 0 ? 50 - length : 50}%;background:${cssColour(logit < 0 ? -0.7 : 0.7, 1)}`;
      row.shareBar.style.cssText = `width:${100 * share}%;background:${runColour(run.number)}`;
    });
  }
}
