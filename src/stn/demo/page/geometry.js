// The distortions of the training (src/stn/data/distortions.py), with parameters from a hand instead
// of a draw; tests/demo/test_geometry.py compares the two.
//
// Lengths are pixels from a centre, x to the right and y down. A distortion is told by its inverse:
// a function from a point of the image to the point of the digit that is seen there, or null.

export const DIGIT = 28;
const HALF = (DIGIT - 1) / 2;

// R and RTS: counter-clockwise by angle (degrees), scaled, the digit's centre at (x, y).
export function similarity({ angle, scale = 1, x = 0, y = 0 }) {
  const [cos, sin] = [Math.cos(radians(angle)) / scale, Math.sin(radians(angle)) / scale];
  return ([px, py]) => [cos * (px - x) - sin * (py - y), sin * (px - x) + cos * (py - y)];
}

// Where a point of the digit is seen in the image: the inverse of `similarity`.
export function placed([dx, dy], { angle, scale = 1, x = 0, y = 0 }) {
  const [cos, sin] = [Math.cos(radians(angle)) * scale, Math.sin(radians(angle)) * scale];
  return [x + cos * dx + sin * dy, y - sin * dx + cos * dy];
}

// P: the homography that carries the digit's corners to four points, clockwise from the top left.
// Heckbert's map of the unit square to a quadrilateral, inverted by its adjugate.
export function projection(corners) {
  const [p0, p1, p2, p3] = corners;
  const [a, b, twist] = [minus(p1, p2), minus(p3, p2), minus(minus(p0, p1), minus(p3, p2))];
  const area = cross(a, b);
  const [g, h] = [cross(twist, b) / area, cross(a, twist) / area];
  const u = [p1[0] - p0[0] + g * p1[0], p1[1] - p0[1] + g * p1[1], g];
  const v = [p3[0] - p0[0] + h * p3[0], p3[1] - p0[1] + h * p3[1], h];
  const w = [...p0, 1];
  const rows = [cross3(v, w), cross3(w, u), cross3(u, v)];
  const determinant = dot3(u, rows[0]);
  return ([x, y]) => {
    const [s, t, q] = rows.map((row) => dot3(row, [x, y, 1]) / determinant);
    return q > 1e-9 ? [HALF * ((2 * s) / q - 1), HALF * ((2 * t) / q - 1)] : null;
  };
}

// Whether each triangle of a corner and its two neighbours is at least so large: no corner folds.
export function isConvex(corners, leastArea) {
  return corners.every((corner, i) => {
    const [ahead, behind] = [corners[(i + 1) % 4], corners[(i + 3) % 4]];
    return cross(minus(ahead, corner), minus(behind, corner)) >= leastArea;
  });
}

// E: what the scaled digit has at each point is seen where the point moved; a thin plate spline
// between. `half` is half the image, (width - 1) / 2: distances are measured in it.
export function spline({ points, moves, scale }, half) {
  const seen = points.map(([x, y], i) => [(x + moves[i][0]) / half, (y + moves[i][1]) / half]);
  const n = points.length;
  const system = seen.map((p) => [...seen.map((q) => radial(p, q)), 1, ...p]);
  for (const column of [() => 1, (p) => p[0], (p) => p[1]]) {
    system.push([...seen.map(column), 0, 0, 0]);
  }
  const values = moves.map(([x, y]) => [-x / half, -y / half]).concat([[0, 0], [0, 0], [0, 0]]);
  const coefficients = solved(system, values);
  return ([px, py]) => {
    const p = [px / half, py / half];
    const terms = [...seen.map((q) => radial(p, q)), 1, ...p];
    const out = [...p];
    for (let i = 0; i < n + 3; i++) {
      out[0] += terms[i] * coefficients[i][0];
      out[1] += terms[i] * coefficients[i][1];
    }
    return [(out[0] * half) / scale, (out[1] * half) / scale];
  };
}

// TC: patches are added to an image, cut off at white. Each is a square of pixels in a row, and where
// its top left pixel is, in pixels of the image from its corner.
export function cluttered(image, patches, side) {
  for (const { pixels, left, top } of patches) {
    const width = Math.sqrt(pixels.length);
    pixels.forEach((value, i) => {
      const at = (top + Math.floor(i / width)) * side + left + (i % width);
      image[at] = Math.min(image[at] + value, 1);
    });
  }
  return image;
}

// A regular grid of rows x columns over the image, borders included, row by row.
export function regular([rows, columns], half) {
  return Array.from({ length: rows * columns }, (_, i) => [
    half * ((2 * (i % columns)) / (columns - 1) - 1),
    half * ((2 * Math.floor(i / columns)) / (rows - 1) - 1),
  ]);
}

// The image of side x side pixels that a distortion makes of a digit: bilinear, zeros outside.
export function distorted(digit, toDigit, side) {
  const image = new Float32Array(side * side);
  const at = (x, y) => (x >= 0 && y >= 0 && x < DIGIT && y < DIGIT ? digit[y * DIGIT + x] : 0);
  for (let i = 0; i < image.length; i++) {
    const point = toDigit([(i % side) - (side - 1) / 2, Math.floor(i / side) - (side - 1) / 2]);
    if (!point) continue;
    const [x, y] = [point[0] + HALF, point[1] + HALF];
    const [left, top] = [Math.floor(x), Math.floor(y)];
    const [dx, dy] = [x - left, y - top];
    image[i] =
      (1 - dy) * ((1 - dx) * at(left, top) + dx * at(left + 1, top)) +
      dy * ((1 - dx) * at(left, top + 1) + dx * at(left + 1, top + 1));
  }
  return image;
}

// The turn, scale and place that are nearest to a warp, told by pairs of points: what is upright at
// the first is seen at the second. Least squares over all affine maps; the scale is of areas.
export function nearestSimilarity(pairs) {
  const sums = [0, 1, 2].map(() => [0, 0, 0]);
  const values = [0, 1, 2].map(() => [0, 0]);
  for (const [[x, y], seen] of pairs) {
    const terms = [x, y, 1];
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 3; j++) sums[i][j] += terms[i] * terms[j];
      for (let j = 0; j < 2; j++) values[i][j] += terms[i] * seen[j];
    }
  }
  const [[a, c], [b, d], [x, y]] = solved(sums, values);
  const angle = (Math.atan2(b - c, a + d) * 180) / Math.PI;
  return { angle, scale: Math.sqrt(Math.abs(a * d - b * c)), x, y };
}

// Gaussian elimination with pivots: the rows X of A X = B.
function solved(A, B) {
  const rows = A.map((row, i) => [...row, ...B[i]]);
  const n = rows.length;
  for (let i = 0; i < n; i++) {
    let pivot = i;
    for (let j = i + 1; j < n; j++) if (Math.abs(rows[j][i]) > Math.abs(rows[pivot][i])) pivot = j;
    [rows[i], rows[pivot]] = [rows[pivot], rows[i]];
    for (let j = 0; j < n; j++) {
      if (j === i) continue;
      const factor = rows[j][i] / rows[i][i];
      for (let k = i; k < rows[j].length; k++) rows[j][k] -= factor * rows[i][k];
    }
  }
  return rows.map((row, i) => row.slice(n).map((value) => value / row[i]));
}

function radial([x, y], [u, v]) {
  const squared = (x - u) ** 2 + (y - v) ** 2;
  return squared > 0 ? squared * Math.log(squared) : 0;
}

const radians = (degrees) => (degrees * Math.PI) / 180;
const minus = (p, q) => [p[0] - q[0], p[1] - q[1]];
const cross = (p, q) => p[0] * q[1] - p[1] * q[0];
const dot3 = (p, q) => p[0] * q[0] + p[1] * q[1] + p[2] * q[2];
const cross3 = (p, q) => [
  p[1] * q[2] - p[2] * q[1],
  p[2] * q[0] - p[0] * q[2],
  p[0] * q[1] - p[1] * q[0],
];
