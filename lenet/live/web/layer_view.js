// Draws the values of a layer as tiles: one tile for each kernel, feature map or unit.

const GAP = 5; // Between tiles, in pixels.
const CELL_GAP = 1; // Between the units of a fully connected layer.
const FEWEST_PIXELS = 40; // The smallest side of a tile.
const MOST_PIXELS = 90;

// The side in pixels of one layer's tiles: whole multiples of a map's pixels, if they fit.
function tileSide(width, count, pixels) {
  const fitting = Math.floor((width / count - GAP) / pixels);
  const scale = Math.min(Math.floor(MOST_PIXELS / pixels), Math.max(fitting, Math.ceil(FEWEST_PIXELS / pixels)));
  return Math.min(pixels * Math.max(1, scale), Math.max(width - 2, 1));
}

class TileView {
  // `rows` and `columns` are the values of one tile. `point` is called with { tile, y, x } when
  // the user points at a value, and with null when the pointer leaves.
  constructor({ name, count, rows, columns, gray = false, cells = false, point }) {
    Object.assign(this, { name, count, rows, columns, gray, cells, point });
    this.planes = new Float32Array(count * rows * columns).fill(NaN);
    this.limit = 1;
    this.marks = [];
    this.off = new Set();
    this.cursor = null;
    this.scaleText = make("span");
    this.canvas = make("canvas", { tabindex: 0, role: "img" });
    const scale = make("span", { class: gray ? "scale gray" : "scale" }, this.scaleText);
    this.low = make("span");
    this.high = make("span");
    scale.replaceChildren(this.low, make("i"), this.high);
    this.caption = make("span", {}, name);
    this.node = make("div", { class: "row" }, make("p", { class: "label" }, this.caption, scale), this.canvas);
    this.atlas = document.createElement("canvas");
    this.listen();
  }

  // Chooses sizes for a width in pixels. `side` is the side of a tile.
  layOut(width, side) {
    const gap = this.cells ? CELL_GAP : GAP;
    if (this.cells) {
      this.tileWidth = Math.max(4, Math.min(26, Math.floor(width / this.count) - gap));
      this.tileHeight = 20;
    } else {
      const scale = side / Math.max(this.rows, this.columns);
      const whole = scale >= 1 ? Math.floor(scale) : scale;
      this.tileWidth = this.columns * whole;
      this.tileHeight = this.rows * whole;
    }
    this.pitch = (this.cells ? this.tileWidth : Math.max(side, this.tileWidth)) + gap;
    this.perLine = Math.max(1, Math.min(this.count, Math.floor((width + gap) / this.pitch)));
    this.linePitch = this.tileHeight + gap;
    const lines = Math.ceil(this.count / this.perLine);
    this.width = this.perLine * this.pitch;
    this.height = lines * this.linePitch;
    const ratio = window.devicePixelRatio || 1;
    this.ratio = ratio;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    this.canvas.style.width = `${this.width}px`;
    this.canvas.style.height = `${this.height}px`;
    this.atlas.width = this.columns;
    this.atlas.height = this.rows * this.count;
  }

  // Takes over values in the order [y, x, tile].
  setMaps(values) {
    const { count, rows, columns, planes } = this;
    const pixels = rows * columns;
    for (let place = 0, from = 0; place < pixels; place++) {
      for (let tile = 0; tile < count; tile++) planes[tile * pixels + place] = values[from++];
    }
  }

  // Takes over the kernels of a convolution, [height, width, inputs, outputs]: each tile is one
  // kernel, with its slices for the inputs side by side.
  setKernels(values, [height, width, inputs, outputs]) {
    const across = slicesAcross(inputs);
    const pixels = this.rows * this.columns;
    for (let output = 0; output < outputs; output++) {
      for (let input = 0; input < inputs; input++) {
        const top = Math.floor(input / across) * (height + 1);
        const left = (input % across) * (width + 1);
        for (let y = 0; y < height; y++) {
          for (let x = 0; x < width; x++) {
            this.planes[output * pixels + (top + y) * this.columns + left + x] =
              values[((y * width + x) * inputs + input) * outputs + output];
          }
        }
      }
    }
  }

  // `limit` is the value with the strongest colour.
  setScale(limit) {
    this.limit = limit;
    this.low.textContent = figure(this.gray ? 0 : -limit, 2);
    this.high.textContent = figure(limit, 2);
  }

  draw() {
    const context = this.canvas.getContext("2d");
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    this.fillAtlas();
    const shrinks = this.tileWidth < this.columns;
    context.imageSmoothingEnabled = shrinks;
    for (let tile = 0; tile < this.count; tile++) {
      const [left, top] = this.corner(tile);
      context.drawImage(
        this.atlas, 0, tile * this.rows, this.columns, this.rows, left, top, this.tileWidth, this.tileHeight,
      );
      if (this.off.has(tile)) this.cross(context, left, top);
    }
    for (const mark of this.marks) this.outline(context, mark);
  }

  fillAtlas() {
    const context = this.atlas.getContext("2d");
    const image = context.createImageData(this.atlas.width, this.atlas.height);
    const pixels = new Uint32Array(image.data.buffer);
    const { planes, limit, gray } = this;
    for (let i = 0; i < planes.length; i++) {
      const value = planes[i];
      if (Number.isNaN(value)) continue;
      if (gray) {
        const level = Math.round(255 * Math.max(0, Math.min(1, value / limit)));
        pixels[i] = 0xff000000 | (level * 0x010101);
      } else pixels[i] = palette[colourIndex(value, limit)];
    }
    context.putImageData(image, 0, 0);
  }

  corner(tile) {
    const column = tile % this.perLine;
    return [column * this.pitch + 1, Math.floor(tile / this.perLine) * this.linePitch + 1];
  }

  cross(context, left, top) {
    context.strokeStyle = markColours.off;
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(left, top);
    context.lineTo(left + this.tileWidth, top + this.tileHeight);
    context.moveTo(left + this.tileWidth, top);
    context.lineTo(left, top + this.tileHeight);
    context.stroke();
  }

  // A mark is { tiles: [numbers] or null for all, region, colour: "from" or "to" }.
  outline(context, { tiles, region, colour }) {
    const places = tiles ?? Array.from({ length: this.count }, (_, tile) => tile);
    const [unitX, unitY] = [this.tileWidth / this.columns, this.tileHeight / this.rows];
    context.lineWidth = 2;
    for (const tile of places) {
      const [left, top] = this.corner(tile);
      const box = region ?? { top: 0, left: 0, bottom: this.rows, right: this.columns };
      const rectangle = [
        left + box.left * unitX,
        top + box.top * unitY,
        (box.right - box.left) * unitX,
        (box.bottom - box.top) * unitY,
      ];
      context.strokeStyle = markColours[colour];
      context.strokeRect(...rectangle);
    }
  }

  placeAt(event) {
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const column = Math.floor(x / this.pitch);
    const line = Math.floor(y / this.linePitch);
    const tile = line * this.perLine + column;
    const inTileX = (x - column * this.pitch - 1) / this.tileWidth;
    const inTileY = (y - line * this.linePitch - 1) / this.tileHeight;
    if (column >= this.perLine || tile >= this.count || tile < 0) return null;
    const inside = (share, size) => Math.max(0, Math.min(size - 1, Math.floor(share * size)));
    return { tile, y: inside(inTileY, this.rows), x: inside(inTileX, this.columns) };
  }

  listen() {
    this.canvas.addEventListener("pointermove", (event) => {
      if (event.pointerType !== "touch") this.pointTo(this.placeAt(event), event);
    });
    this.canvas.addEventListener("pointerleave", () => this.point(null, false));
    this.canvas.addEventListener("click", (event) => this.pointTo(this.placeAt(event), event, true));
    this.canvas.addEventListener("focus", () => {
      if (this.canvas.matches(":focus-visible")) this.pointTo(this.cursor ?? { tile: 0, y: 0, x: 0 });
    });
    this.canvas.addEventListener("blur", () => this.point(null, false));
    this.canvas.addEventListener("keydown", (event) => this.pressed(event));
  }

  pointTo(place, event, pin = false) {
    if (place) this.cursor = place;
    this.point(place, pin, event);
  }

  // The arrow keys move within a tile, and from tile to tile at its edge.
  pressed(event) {
    const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.pointTo(this.cursor, event, true);
    }
    if (!(event.key in moves)) return;
    event.preventDefault();
    let { tile, y, x } = this.cursor ?? { tile: 0, y: 0, x: 0 };
    const [down, right] = moves[event.key];
    y += down;
    x += right;
    if (x < 0 || x >= this.columns) {
      tile = Math.max(0, Math.min(this.count - 1, tile + right));
      x = right > 0 ? 0 : this.columns - 1;
    }
    if (y < 0 || y >= this.rows) {
      const next = tile + down * this.perLine;
      if (next >= 0 && next < this.count) [tile, y] = [next, down > 0 ? 0 : this.rows - 1];
      else y = Math.max(0, Math.min(this.rows - 1, y));
    }
    this.pointTo({ tile, y, x }, event);
  }
}

// A few slices, e.g. those for red, green and blue, are in one row, so that no place stays empty.
const slicesAcross = (inputs) => (inputs <= 4 ? inputs : Math.ceil(Math.sqrt(inputs)));
function kernelTile([height, width, inputs]) {
  const across = slicesAcross(inputs);
  return {
    rows: Math.ceil(inputs / across) * (height + 1) - 1,
    columns: Math.min(inputs, across) * (width + 1) - 1,
  };
}
const largest = (...arrays) => {
  let best = 0;
  for (const values of arrays) {
    for (let i = 0; i < values.length; i++) {
      const size = Math.abs(values[i]);
      if (size > best) best = size;
    }
  }
  return best;
};
