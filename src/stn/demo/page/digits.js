// The digit: one of MNIST's test digits, or one that is drawn. Brightness 0 to 1 of 28 x 28 pixels.

import { DIGIT } from "./geometry.js";

const STROKE_PX = 2.4; // of a digit that is drawn, and its longer side, as MNIST has them
const INK_PX = 19;

const $ = (id) => document.getElementById(id);
let strokes = [];

// Where in a square picture an event is, in its pixels from its centre.
export function pointed(picture, { clientX, clientY }, side) {
  const { left, top, width, height } = picture.getBoundingClientRect();
  return [((clientX - left) / width - 0.5) * side, ((clientY - top) / height - 0.5) * side];
}

// Offer the test digits of MNIST, the first of each class in a row, and take one of them; return all.
export async function offerDigits(take) {
  const picture = new Image();
  picture.src = "digits.png";
  await picture.decode();
  const num = picture.width / DIGIT;
  const digits = [];
  for (let i = 0; i < num; i++) {
    digits.push(inkOf((context) => context.drawImage(picture, -i * DIGIT, 0)));
    const button = document.createElement("button");
    button.type = "button";
    button.ariaLabel = `Digit ${i % 10}`;
    button.style.backgroundImage = `url(${picture.src})`;
    button.style.backgroundPosition = `${(100 * i) / (num - 1)}% 0`;
    button.addEventListener("click", () => {
      strokes = [];
      const pad = $("pad").getContext("2d");
      pad.imageSmoothingEnabled = false;
      pad.drawImage(picture, i * DIGIT, 0, DIGIT, DIGIT, 0, 0, $("pad").width, $("pad").height);
      press(button);
      take(digits[i]);
    });
    $("digits").append(button);
  }
  $("digits").children[4].click();
  return digits;
}

function press(button) {
  for (const other of $("digits").children) other.ariaPressed = String(other === button);
}

// Brightness 0 to 1 of what is painted on a black picture of a digit.
function inkOf(painter) {
  const canvas = new OffscreenCanvas(DIGIT, DIGIT);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  painter(context);
  const { data } = context.getImageData(0, 0, DIGIT, DIGIT);
  return Float32Array.from({ length: DIGIT * DIGIT }, (_, i) => (data[4 * i] * data[4 * i + 3]) / 255 ** 2);
}

// Take what is drawn, at every stroke.
export function listenToPad(take) {
  const pad = $("pad");
  pad.addEventListener("pointerdown", (event) => {
    pad.setPointerCapture(event.pointerId);
    strokes.push([]);
    draw(event);
  });
  pad.addEventListener("pointermove", (event) => {
    if (pad.hasPointerCapture(event.pointerId)) draw(event);
  });
  $("clear").addEventListener("click", () => {
    strokes = [];
    show();
  });
  const draw = (event) => {
    const [x, y] = pointed(pad, event, pad.width);
    strokes.at(-1).push([x + pad.width / 2, y + pad.width / 2]);
    show();
  };
  const show = () => {
    press(null);
    showStrokes();
    take(drawnDigit());
  };
}

function showStrokes() {
  const pad = $("pad").getContext("2d");
  pad.clearRect(0, 0, $("pad").width, $("pad").height);
  stroke(pad, 1, 0, 0, (STROKE_PX * $("pad").width) / DIGIT);
}

function stroke(context, scale, x, y, lineWidth) {
  Object.assign(context, { strokeStyle: "#fff", lineCap: "round", lineJoin: "round", lineWidth });
  for (const points of strokes) {
    context.beginPath();
    points.forEach((point) => context.lineTo(x + scale * point[0], y + scale * point[1]));
    if (points.length === 1) context.lineTo(x + scale * points[0][0], y + scale * points[0][1] + 0.1);
    context.stroke();
  }
}

// As MNIST was made: the ink scaled to one size, and its centre of mass put into the middle.
function drawnDigit() {
  const points = strokes.flat();
  if (!points.length) return new Float32Array(DIGIT * DIGIT);
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const scale = (INK_PX - STROKE_PX) / Math.max(right - left, bottom - top, $("pad").width / 8);
  let [x, y] = [DIGIT / 2 - (scale * (left + right)) / 2, DIGIT / 2 - (scale * (top + bottom)) / 2];
  const ink = inkOf((context) => stroke(context, scale, x, y, STROKE_PX));
  const mass = ink.reduce((sum, value) => sum + value);
  ink.forEach((value, i) => {
    x -= (value / mass) * ((i % DIGIT) + 0.5 - DIGIT / 2);
    y -= (value / mass) * (Math.floor(i / DIGIT) + 0.5 - DIGIT / 2);
  });
  return inkOf((context) => stroke(context, scale, x, y, STROKE_PX));
}
