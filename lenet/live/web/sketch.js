// The drawing area: pen and eraser for mouse, pen, touch and keyboard, with undo.

const sketch = {
  canvas: element("sketch"),
  strokes: [], // Each { width, erase, points: [[x, y], …] } in pixels of the canvas.
  current: null,
  erasing: false,
  keyboard: { x: 98, y: 98, down: false },
};

function startSketch() {
  const { canvas } = sketch;
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    beginStroke(sketchPlace(event));
    sketchChanged(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!sketch.current) return;
    const moves = event.getCoalescedEvents?.() ?? [];
    for (const move of moves.length ? moves : [event]) sketch.current.points.push(sketchPlace(move));
    sketchChanged(event);
  });
  for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, () => (sketch.current = null));
  canvas.addEventListener("keydown", drawWithKeys);
  element("pen").addEventListener("click", () => chooseTool(false));
  element("eraser").addEventListener("click", () => chooseTool(true));
  element("undo").addEventListener("click", (event) => {
    sketch.strokes.pop();
    sketchChanged(event);
  });
  element("clear").addEventListener("click", (event) => {
    sketch.strokes = [];
    sketchChanged(event);
  });
  paintSketch();
}

function chooseTool(erasing) {
  sketch.erasing = erasing;
  element("pen").setAttribute("aria-pressed", !erasing);
  element("eraser").setAttribute("aria-pressed", erasing);
}

function sketchPlace(event) {
  const box = sketch.canvas.getBoundingClientRect();
  return [
    ((event.clientX - box.left) / box.width) * sketch.canvas.width,
    ((event.clientY - box.top) / box.height) * sketch.canvas.height,
  ];
}

function beginStroke(place) {
  sketch.current = { width: Number(element("thickness").value), erase: sketch.erasing, points: [place] };
  sketch.strokes.push(sketch.current);
}

function drawWithKeys(event) {
  const moves = { ArrowLeft: [-4, 0], ArrowRight: [4, 0], ArrowUp: [0, -4], ArrowDown: [0, 4] };
  const { keyboard } = sketch;
  if (event.key === " ") {
    event.preventDefault();
    keyboard.down = !keyboard.down;
    if (keyboard.down) beginStroke([keyboard.x, keyboard.y]);
    sketch.current = null;
  } else if (event.key in moves) {
    event.preventDefault();
    keyboard.x = Math.max(0, Math.min(sketch.canvas.width, keyboard.x + moves[event.key][0]));
    keyboard.y = Math.max(0, Math.min(sketch.canvas.height, keyboard.y + moves[event.key][1]));
    if (keyboard.down) sketch.strokes.at(-1)?.points.push([keyboard.x, keyboard.y]);
  } else return;
  keyboard.used = true;
  sketchChanged(event);
}

// Draws all strokes, without the keyboard's cross, which is no part of the picture.
function paintSketch() {
  const { canvas } = sketch;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#000";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.lineCap = context.lineJoin = "round";
  for (const { width, erase, points } of sketch.strokes) {
    context.strokeStyle = erase ? "#000" : "#fff";
    context.lineWidth = width;
    context.beginPath();
    context.moveTo(...points[0]);
    if (points.length === 1) context.lineTo(points[0][0] + 0.01, points[0][1]);
    for (const point of points.slice(1)) context.lineTo(...point);
    context.stroke();
  }
}

function sketchChanged(event) {
  paintSketch();
  const context = sketch.canvas.getContext("2d", { willReadFrequently: true });
  const isEmpty = !sketch.strokes.some((stroke) => !stroke.erase);
  const data = isEmpty ? null : context.getImageData(0, 0, sketch.canvas.width, sketch.canvas.height);
  if (sketch.keyboard.used) paintPen(context);
  state.label = null;
  setPicture(data && pictureOf(data), event);
}

function paintPen(context) {
  const { x, y, down } = sketch.keyboard;
  context.strokeStyle = down ? "#ffc14d" : "#6cb6ff";
  context.lineWidth = 2;
  context.beginPath();
  context.moveTo(x - 8, y);
  context.lineTo(x + 8, y);
  context.moveTo(x, y - 8);
  context.lineTo(x, y + 8);
  context.stroke();
}
