// Where the image comes from: the drawing, the test images, or a file of the user.

const WORKING_PIXELS = INK.WORKING_PIXELS; // The longer side of a file's picture.
const galleryButtons = [];

// Takes over a picture, or null for none, and prepares it for the network.
function setPicture(picture, event) {
  state.picture = picture;
  say("");
  let prepared = null;
  if (picture) {
    try {
      prepared = prepare(picture);
    } catch (problem) {
      if (!(problem instanceof NothingDrawn)) throw problem;
      say(`Sorry: ${problem.message}`, true);
    }
  }
  state.stages = prepared?.stages ?? [];
  state.prepared = prepared?.pixels ?? null;
  for (const { node } of galleryButtons) node.setAttribute("aria-pressed", false);
  refresh("picture", event);
}

// Takes over a test image, which needs no preparation.
function setExample(example, event) {
  state.picture = null;
  state.stages = [{ title: `Test image ${thousands(example.number)}`, note: `its class is ${CLASSES[example.label]}`, image: imageOfBytes(example.pixels) }];
  state.prepared = example.pixels;
  state.label = example.label;
  say(`Test image ${thousands(example.number)}. Its class is ${CLASSES[example.label]}.`);
  for (const { node, example: other } of galleryButtons) node.setAttribute("aria-pressed", other === example);
  refresh("picture", event);
}

const imageOfBytes = (pixels) => ({ values: Float32Array.from(pixels), height: HEIGHT, width: WIDTH, channels: CHANNELS });

function say(words, wrong = false) {
  element("said").textContent = words;
  element("said").classList.toggle("wrong", wrong);
}

function startSources() {
  const names = ["draw", "gallery", "file"];
  for (const name of names) element(`tab-${name}`).addEventListener("click", () => chooseTab(name));
  element("tabs").addEventListener("keydown", (event) => {
    const shift = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!shift) return;
    const usable = names.filter((name) => !element(`tab-${name}`).hidden);
    const at = usable.findIndex((name) => element(`tab-${name}`).ariaSelected === "true");
    const next = usable[(at + shift + usable.length) % usable.length];
    chooseTab(next);
    element(`tab-${next}`).focus();
  });
  if (CHANNELS > 1) element("tab-draw").hidden = true;
  chooseTab(CHANNELS > 1 ? "gallery" : "draw");
  element("file").addEventListener("change", (event) => event.target.files[0] && readFile(event.target.files[0]));
  listenForDrops();
  buildGallery();
}

function chooseTab(chosen) {
  for (const name of ["draw", "gallery", "file"]) {
    const isChosen = name === chosen;
    element(`tab-${name}`).ariaSelected = String(isChosen);
    element(`tab-${name}`).tabIndex = isChosen ? 0 : -1;
    element(`panel-${name}`).hidden = !isChosen;
  }
}

function listenForDrops() {
  const hasFile = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    element("dropping").hidden = false;
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) element("dropping").hidden = true;
  });
  document.addEventListener("drop", (event) => {
    element("dropping").hidden = true;
    if (!hasFile(event)) return;
    event.preventDefault();
    readFile(event.dataTransfer.files[0]);
  });
}

async function readFile(file) {
  chooseTab("file");
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { premultiplyAlpha: "none", colorSpaceConversion: "none" });
  } catch {
    say(`${file.name} is not an image that this browser can read. Use PNG, JPEG, WebP or BMP.`, true);
    return;
  }
  const canvas = make("canvas", { width: bitmap.width, height: bitmap.height });
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  let picture = pictureOf(context.getImageData(0, 0, bitmap.width, bitmap.height));
  const scale = Math.min(1, WORKING_PIXELS / Math.max(bitmap.width, bitmap.height));
  if (scale < 1) {
    const [height, width] = [bitmap.height, bitmap.width].map((n) => Math.max(1, Math.round(n * scale)));
    picture = resize(picture, height, width, "box", true);
  }
  state.label = null;
  setPicture(picture);
  if (state.prepared) say(`${file.name}: prepared as below.`);
}

function buildGallery() {
  const gallery = element("gallery");
  gallery.classList.toggle("photos", CHANNELS > 1 || HEIGHT > 32);
  for (const example of EXAMPLES) {
    const canvas = make("canvas", { width: WIDTH, height: HEIGHT });
    paintImage(canvas, imageOfBytes(example.pixels));
    const isMistake = example.mistakes.some(Boolean);
    const node = make("button", {
      type: "button", "aria-pressed": "false", class: isMistake ? "mistake" : null,
      title: `Test image ${thousands(example.number)}: ${CLASSES[example.label]}${mistakeWords(example)}`,
      onclick: (event) => setExample(example, event),
    }, canvas);
    galleryButtons.push({ node, example, isMistake });
    gallery.append(node);
  }
  element("show-all").addEventListener("click", () => filterGallery(false));
  element("show-mistakes").addEventListener("click", () => filterGallery(true));
  filterGallery(false);
}

function mistakeWords({ mistakes }) {
  const names = RUNS.filter((_, number) => mistakes[number]).map((run) => run.label);
  return names.length ? `. Answered wrongly after training by ${names.join(", ")}` : "";
}

function filterGallery(onlyMistakes) {
  element("show-all").setAttribute("aria-pressed", !onlyMistakes);
  element("show-mistakes").setAttribute("aria-pressed", onlyMistakes);
  for (const { node, example, isMistake } of galleryButtons) {
    node.hidden = onlyMistakes ? !isMistake : example.index >= SAMPLE.length;
  }
  const mistakes = galleryButtons.filter((button) => button.isMistake).length;
  element("gallery-note").textContent = onlyMistakes
    ? `${mistakes} of the test set's mistakes, the surest answers of them`
    : `${SAMPLE.length} of ${thousands(DATA.examples.total)} test images, evenly chosen. Red line: a mistake of ${RUNS.length > 1 ? "at least one network" : "the network"}.`;
}

function paintImage(canvas, image) {
  canvas.width = image.width;
  canvas.height = image.height;
  const context = canvas.getContext("2d");
  const bytes = context.createImageData(image.width, image.height);
  const { channels, values } = image;
  for (let i = 0; i < image.width * image.height; i++) {
    for (let channel = 0; channel < 3; channel++) {
      bytes.data[4 * i + channel] = values[i * channels + (channels > 1 ? channel : 0)];
    }
    bytes.data[4 * i + 3] = 255;
  }
  context.putImageData(bytes, 0, 0);
}

// The strip of stages from the picture to the network's input.
function drawStages() {
  const strip = element("stages");
  while (strip.children.length > state.stages.length) strip.lastChild.remove();
  while (strip.children.length < state.stages.length) {
    strip.append(make("figure", {}, make("canvas"), make("figcaption")));
  }
  state.stages.forEach(({ title, note, image, box }, i) => {
    const [canvas, caption] = strip.children[i].children;
    paintImage(canvas, image);
    caption.textContent = title;
    strip.children[i].title = note;
    if (!box) return;
    const context = canvas.getContext("2d");
    context.strokeStyle = markColours.from;
    context.lineWidth = Math.max(1, image.width / 60);
    context.strokeRect(box[1], box[0], box[3] - box[1], box[2] - box[0]);
  });
}
