// The tour: five steps that show what the page can do. It starts by itself on the first visit.

const TOUR = [
  {
    at: () => (CHANNELS > 1 ? "#panel-gallery" : "#sketch"), title: "Give it an image",
    words: () => (CHANNELS > 1 ? "Choose a test image, or drop a photo of your own on the page." : "Draw a digit here, large and in the middle. Or choose a test image, or drop a photo of your handwriting on the page."),
  },
  { at: () => "#answers", title: "Read the answer", words: () => "Here is what your network answers, and how sure it is. With several runs, each has its own column." },
  {
    at: () => "#bands .band:nth-child(2)", title: "Follow the layers",
    words: () => "Below, you see every layer from the image to the answer. Red is positive, blue is negative. Point at any value to see how it is computed, in figures.",
  },
  { at: () => "#time", title: "Go back in time", words: () => "This slider goes through the training. At step 0 the weights are random. Press the button with the triangle to see the network learn." },
  { at: () => "#bands .band:nth-child(2) .bias", title: "Ask: what if?", words: () => "Click a kernel or a unit, then switch it off. Or switch off the bias of a layer, or move the image with the sliders near the end of the page." },
];
const VISITED = "lenet-live-visited";

function startTour() {
  element("start-tour").addEventListener("click", () => showTour(0));
  let visited = null;
  try {
    visited = localStorage.getItem(VISITED);
    localStorage.setItem(VISITED, "yes");
  } catch {
    // Some browsers keep nothing for pages from a file. Then the tour starts each time.
  }
  if (!visited) showTour(0);
}

function showTour(index) {
  endTour();
  const { at, title, words } = TOUR[index];
  const target = document.querySelector(at());
  target?.classList.add("shown-by-tour");
  if (index) target?.scrollIntoView({ block: "nearest" });
  const isLast = index === TOUR.length - 1;
  element("tour").replaceChildren(
    make("p", { class: "note" }, `${index + 1} of ${TOUR.length}`), make("h2", {}, title), make("p", {}, words()),
    make("div", { class: "tools" },
      make("button", { type: "button", id: "tour-next", onclick: () => (isLast ? endTour() : showTour(index + 1)) }, isLast ? "Done" : "Next"),
      index ? make("button", { type: "button", onclick: () => showTour(index - 1) }, "Back") : null,
      make("button", { type: "button", id: "tour-end", onclick: endTour }, "End tour")),
  );
  element("tour").hidden = false;
}

function endTour() {
  element("tour").hidden = true;
  document.querySelector(".shown-by-tour")?.classList.remove("shown-by-tour");
}
