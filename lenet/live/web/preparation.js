// Turns a photo or drawing into an image like those of training, as lenet/data/preparation.py and
// lenet/data/centring.py do. A picture is an image of bytes with three channels.

// Returns { pixels, stages }: the bytes for the network, and each stage on the way to them as
// { title, note, image, box }. Raises NothingDrawn.
function prepare(picture) {
  const rules = DATA.preparation;
  const hasRightSize = picture.height === HEIGHT && picture.width === WIDTH && rules.sizeIsPhoto;
  if (rules.drawing && !hasRightSize) return prepareDrawing(picture, rules.box);
  return preparePhoto(picture, rules.resize, rules.onBlack);
}

function prepareDrawing(picture, share) {
  const gray = grayOf(picture);
  const darkOnLight = isDarkOnLight(gray);
  const onPaper = darkOnLight ? gray : { ...gray, values: gray.values.map((value) => 1 - value) };
  const ink = inkOf(onPaper);
  const part = drawnPart(ink);
  const kept = { ...ink, values: ink.values.map((value, i) => value * part.values[i]) };
  const box = boundingBox(kept, INK.MINIMUM_CONTRAST);
  const cropped = crop(kept, box);
  const side = Math.max(1, roundEven(share * Math.min(HEIGHT, WIDTH)));
  const { scaled, thin } = scaledToBox(cropped, side);
  const image = toBytes(centredByMass(scaled));
  const inkNote = darkOnLight ? "inverted, with black paper" : "already light on dark";
  return {
    pixels: repeatedChannels(image),
    stages: [
      { title: "Your image", note: `${picture.width} × ${picture.height} pixels`, image: picture },
      { title: "Gray", note: "brightness only", image: toBytes(gray) },
      { title: "Ink only", note: inkNote, image: toBytes(kept), box },
      { title: "Cropped", note: "to the drawing", image: toBytes(cropped) },
      {
        title: `Scaled to ${side} × ${side}`,
        note: thin ? "thin strokes widened" : "aspect ratio kept",
        image: toBytes(scaled),
      },
      { title: `Centred in ${WIDTH} × ${HEIGHT}`, note: "by its centre of mass", image },
    ],
  };
}

function preparePhoto(picture, way, onBlack) {
  const { height, width } = picture;
  const box = way === "crop" ? middleOf(height, width, HEIGHT / WIDTH) : [0, 0, height, width];
  const cropped = crop(picture, box);
  const small = resize(cropped, HEIGHT, WIDTH, "bicubic", true);
  const isCropped = cropped.height !== height || cropped.width !== width;
  const stages = [
    { title: "Your image", note: `${width} × ${height} pixels`, image: picture, box: isCropped ? box : null },
  ];
  if (isCropped) stages.push({ title: "Cropped", note: "to the middle", image: cropped });
  stages.push({ title: `Scaled to ${WIDTH} × ${HEIGHT}`, note: "the network's input size", image: small });
  if (CHANNELS > 1) return { pixels: Uint8Array.from(small.values), stages };
  let gray = imageOf(HEIGHT, WIDTH);
  gray.values.forEach((_, i) => {
    const [red, green, blue] = small.values.subarray(3 * i, 3 * i + 3);
    gray.values[i] = (red * 19595 + green * 38470 + blue * 7471 + 32768) >> 16;
  });
  const inverted = onBlack && quantile(edgeOf(gray), 0.5) > 127;
  if (inverted) gray = { ...gray, values: gray.values.map((value) => 255 - value) };
  stages.push({ title: "Gray", note: inverted ? "inverted: light on dark" : "brightness only", image: gray });
  return { pixels: Uint8Array.from(gray.values), stages };
}

function grayOf({ values, height, width }) {
  const gray = imageOf(height, width);
  for (let i = 0; i < gray.values.length; i++) {
    gray.values[i] = (0.299 * values[3 * i] + 0.587 * values[3 * i + 1] + 0.114 * values[3 * i + 2]) / 255;
  }
  return gray;
}

function repeatedChannels(image) {
  const pixels = new Uint8Array(HEIGHT * WIDTH * CHANNELS);
  for (let i = 0; i < pixels.length; i++) pixels[i] = image.values[Math.floor(i / CHANNELS)];
  return pixels;
}

// Top, left, bottom and right of the pixels above a limit; the last two are exclusive.
function boundingBox({ values, height, width }, limit) {
  const box = [height, width, 0, 0];
  for (let row = 0, i = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      if (!(values[i++] > limit)) continue;
      box[0] = Math.min(box[0], row);
      box[1] = Math.min(box[1], column);
      box[2] = Math.max(box[2], row + 1);
      box[3] = Math.max(box[3], column + 1);
    }
  }
  return box;
}

// Scales a drawing until its longer side fills a box. A thin line is widened.
function scaledToBox(cropped, side) {
  let fine = scaledTo(cropped, side * INK.OVERSAMPLING);
  const unit = (INK.OVERSAMPLING * side) / 20;
  const width = strokeWidth(fine);
  const thin = width < INK.THIN * unit;
  if (thin) {
    const margin = Math.floor(Math.trunc(INK.USUAL * unit - width) / 2);
    const wide = slide(toBytes(padded(fine, margin)), 2 * margin + 1, "max");
    fine = { ...wide, values: wide.values.map((value) => value / 255) };
    fine = scaledTo(fine, side * INK.OVERSAMPLING);
  }
  const scaled = scaledTo(fine, side);
  const brightest = maximum(scaled.values);
  return { scaled: { ...scaled, values: scaled.values.map((value) => value / brightest) }, thin };
}

function scaledTo(image, longer) {
  const longest = Math.max(image.height, image.width);
  const [height, width] = [image.height, image.width].map((n) =>
    Math.max(1, roundEven((n * longer) / longest)),
  );
  return resize(image, height, width, "box");
}

function padded(image, margin) {
  const result = imageOf(image.height + 2 * margin, image.width + 2 * margin);
  for (let row = 0; row < image.height; row++) {
    const line = image.values.subarray(row * image.width, (row + 1) * image.width);
    result.values.set(line, (row + margin) * result.width + margin);
  }
  return result;
}

// The mean width of strokes in pixels: twice their area divided by their outline's length.
function strokeWidth(image) {
  const mask = padded({ ...image, values: image.values.map((value) => value > 0.5) }, 1);
  let area = 0;
  let steps = 0;
  mask.values.forEach((value, i) => {
    area += value;
    if ((i + 1) % mask.width) steps += value !== mask.values[i + 1];
    if (i + mask.width < mask.values.length) steps += value !== mask.values[i + mask.width];
  });
  return (2 * area) / Math.max(1, (steps * Math.PI) / 4);
}

// Places a drawing on black, with its centre of mass in the middle, to the nearest pixel.
function centredByMass(scaled) {
  let [mass, row, column] = [0, 0, 0];
  scaled.values.forEach((value, i) => {
    mass += value;
    row += value * Math.floor(i / scaled.width);
    column += value * (i % scaled.width);
  });
  const place = (size, centre, length) =>
    Math.min(Math.max(0, roundEven(size / 2 - centre)), size - length);
  const top = place(HEIGHT, row / mass, scaled.height);
  const left = place(WIDTH, column / mass, scaled.width);
  const image = imageOf(HEIGHT, WIDTH);
  for (let y = 0; y < scaled.height; y++) {
    const line = scaled.values.subarray(y * scaled.width, (y + 1) * scaled.width);
    image.values.set(line, (top + y) * WIDTH + left);
  }
  return image;
}

// The largest middle part whose height / width is `aspect`.
function middleOf(rows, columns, aspect) {
  const height = Math.max(1, Math.min(rows, roundEven(columns * aspect)));
  const width = Math.max(1, Math.min(columns, roundEven(rows / aspect)));
  const top = Math.floor((rows - height) / 2);
  const left = Math.floor((columns - width) / 2);
  return [top, left, top + height, left + width];
}

// A picture from the bytes of a canvas (red, green, blue, opacity). Transparent parts become
// white, or black if the drawing is light.
function pictureOf({ data, width, height }) {
  let [opaque, brightness] = [0, 0];
  for (let i = 0; i < data.length; i += 4) {
    opaque += data[i + 3];
    const gray = (data[i] * 19595 + data[i + 1] * 38470 + data[i + 2] * 7471 + 32768) >> 16;
    brightness += gray * data[i + 3];
  }
  const background = brightness / Math.max(opaque, 1) < 128 ? 255 : 0;
  const picture = imageOf(height, width, 3);
  for (let i = 0; i < height * width; i++) {
    const share = data[4 * i + 3] / 255;
    for (let channel = 0; channel < 3; channel++) {
      picture.values[3 * i + channel] =
        share === 1
          ? data[4 * i + channel]
          : Math.round(data[4 * i + channel] * share + background * (1 - share));
    }
  }
  return picture;
}
