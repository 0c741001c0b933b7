"use strict";

// Leader board: a click on a heading sorts by that column. A second click reverses the order.
for (const button of document.querySelectorAll(".board thead button")) {
  button.addEventListener("click", () => {
    const heading = button.closest("th");
    const body = heading.closest("table").tBodies[0];
    const column = heading.cellIndex;
    const sorted = heading.getAttribute("aria-sort");
    const order = sorted === "none" ? button.dataset.first
      : sorted === "ascending" ? "descending" : "ascending";
    for (const other of heading.parentElement.cells) other.setAttribute("aria-sort", "none");
    heading.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const rows = Array.from(body.rows);
    const compare = (first, second) => {
      const [a, b] = [first, second].map((row) => row.cells[column].dataset.value);
      if (a === "" || b === "") return (a === "") - (b === ""); // Unknown values stay at the end.
      const difference = Number(a) - Number(b);
      return sign * (Number.isNaN(difference) ? a.localeCompare(b) : difference);
    };
    body.append(...rows.sort(compare));
  });
}

// Slider: all films show the same step. Each film is one tall image, of which one frame is visible.
const slider = document.getElementById("step");
if (slider) {
  const steps = slider.dataset.steps.split(",").map(Number);
  const films = Array.from(document.querySelectorAll(".film img"));
  const show = () => {
    const step = steps[slider.value];
    const epoch = step / Number(slider.dataset.stepsPerEpoch);
    const text = `${step.toLocaleString("en")} (epoch ${epoch.toFixed(2)})`;
    document.getElementById("shown-step").textContent = text;
    slider.setAttribute("aria-valuetext", `step ${text}`);
    for (const film of films) film.style.top = `${-slider.value * Number(film.dataset.height)}px`;
  };
  slider.addEventListener("input", show);
  show();
}
