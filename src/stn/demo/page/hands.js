// What a hand can do to a digit: a way for each distortion of the training, within its ranges.
//
// A hand has: start and neutral, states; ranges, of what a slider can set; handles(state), where in
// the image they are; drag(state, i, point), the state with handle i taken there; any(), a state at
// random; kept(state), the nearest that the training knows; toDigit(state), see geometry.js;
// lines(state), what moves with the digit. A state may have `patches`, see `cluttered`; a hand a `note`.

import { DIGIT, isConvex, placed, projection, regular, similarity, spline } from "./geometry.js";

const HALF = (DIGIT - 1) / 2;
const BAND_PX = 3; // how far out of the image a handle may be taken: demo.css leaves room for it
const SQUARE = [[-HALF, -HALF], [HALF, -HALF], [HALF, HALF], [-HALF, HALF]];
const SIMILARITY = {
  kept: (state) => state,
  toDigit: similarity,
  lines: (state) => [closed(SQUARE.map((corner) => placed(corner, state)))],
};

const turned = ({ max_deg }) => ({
  ...SIMILARITY,
  start: { angle: max_deg / 2 },
  neutral: { angle: 0 },
  ranges: { angle: [-max_deg, max_deg] },
  handles: (state) => [placed([0, -HALF], state)],
  drag: (state, i, point) => ({ angle: clamp(angleTo(point), max_deg) }),
  any: () => ({ angle: between(-max_deg, max_deg) }),
});

export const HANDS = {
  Rotate: turned,

  Undistorted: () => ({
    ...turned({ max_deg: 90 }),
    start: { angle: 0 },
    note: "Turned digits are new to these networks.",
  }),

  RotateTranslateScale: ({ max_deg, scale_range }, side) => {
    const kept = ({ angle, scale, x, y }) => {
      const size = Math.min(Math.max(scale, scale_range[0]), scale_range[1]);
      const room = Math.max(side - DIGIT * size, 0) / 2; // its unturned box stays inside
      return { angle: clamp(angle, max_deg), scale: size, x: clamp(x, room), y: clamp(y, room) };
    };
    return {
      ...SIMILARITY,
      kept,
      start: kept({ angle: 0.7 * max_deg, scale: 0.9, x: -5, y: 3 }),
      neutral: { angle: 0, scale: 1, x: 0, y: 0 },
      ranges: { angle: [-max_deg, max_deg], scale: scale_range },
      handles: (state) => [placed([0, -HALF], state), [state.x, state.y]],
      drag: (state, i, [x, y]) => {
        if (i === 1) return kept({ ...state, x, y });
        const arm = [x - state.x, y - state.y];
        return kept({ ...state, angle: angleTo(arm), scale: Math.hypot(...arm) / HALF });
      },
      any: () => {
        const scale = between(...scale_range);
        const room = Math.max(side - DIGIT * scale, 0) / 2;
        const angle = between(-max_deg, max_deg);
        return { angle, scale, x: between(-room, room), y: between(-room, room) };
      },
    };
  },

  // Patches are cut out of `digits`, of 28 x 28 pixels each.
  Clutter: ({ num_patches, patch_px }, side, digits) => {
    const room = (side - DIGIT) / 2;
    const onPixel = (value) => clamp(Math.round(value + room) - room, room);
    const patch = () => {
      const digit = digits[below(digits.length)];
      const [x, y] = [below(DIGIT - patch_px + 1), below(DIGIT - patch_px + 1)];
      const pixels = Array.from({ length: patch_px ** 2 }, (_, i) =>
        digit[(y + Math.floor(i / patch_px)) * DIGIT + x + (i % patch_px)],
      );
      return { pixels, left: below(side - patch_px + 1), top: below(side - patch_px + 1) };
    };
    const any = () => ({
      x: below(2 * room + 1) - room,
      y: below(2 * room + 1) - room,
      patches: Array.from({ length: num_patches }, patch),
    });
    const of = ({ x, y }) => ({ angle: 0, x, y });
    return {
      start: any(),
      neutral: { x: onPixel(0), y: onPixel(0), patches: [] },
      ranges: {},
      handles: ({ x, y }) => [[x, y]],
      drag: (state, i, [x, y]) => ({ ...state, x: onPixel(x), y: onPixel(y) }),
      any,
      kept: (state) => state,
      toDigit: (state) => similarity(of(state)),
      lines: (state) => SIMILARITY.lines(of(state)),
    };
  },

  ProjectiveDistortion: ({ scale_range, corner_px, min_area }, side) => {
    const square = (scale) => SQUARE.map(([x, y]) => [scale * x, scale * y]);
    const reach = side / 2 + BAND_PX;
    const isOut = (value) => Math.abs(value) > reach;
    const folds = (corners) => !isConvex(corners, min_area * (2 * HALF * scale_range[0]) ** 2);
    const any = () => {
      const corners = square(between(...scale_range)).map(([x, y]) => [
        x + corner_px * normal(),
        y + corner_px * normal(),
      ]);
      return folds(corners) || corners.flat().some(isOut) ? any() : { corners };
    };
    return {
      start: { corners: [[-12, -5], [7, -12], [12, 10], [-6, 8]] },
      neutral: { corners: square(1) },
      ranges: {},
      handles: ({ corners }) => corners,
      drag: ({ corners }, i, point) => {
        const moved = corners.with(i, point.map((value) => clamp(value, reach)));
        return { corners: folds(moved) ? corners : moved };
      },
      any,
      kept: (state) => state,
      toDigit: ({ corners }) => projection(corners),
      lines: ({ corners }) => [closed(corners)],
    };
  },

  ElasticDistortion: ({ scale_range, points: [rows, columns], point_px }, side) => {
    const half = (side - 1) / 2;
    const points = regular([rows, columns], half);
    const seen = ({ moves }) => points.map(([x, y], i) => [x + moves[i][0], y + moves[i][1]]);
    const moved = (point, x, y) =>
      [x, y].map((to, i) => clamp(clamp(to, half + BAND_PX) - point[i], 3 * point_px));
    const any = () => ({
      scale: between(...scale_range),
      moves: points.map(([x, y]) => moved([x, y], x + point_px * normal(), y + point_px * normal())),
    });
    return {
      start: any(),
      neutral: { scale: scale_range[1], moves: points.map(() => [0, 0]) },
      ranges: { scale: scale_range },
      handles: seen,
      drag: (state, i, [x, y]) => ({ ...state, moves: state.moves.with(i, moved(points[i], x, y)) }),
      any,
      kept: (state) => state,
      toDigit: (state) => spline({ points, ...state }, half),
      lines: (state) => lattice(seen(state), columns),
    };
  },
};

// The rows and the columns of points that are given row by row.
export function lattice(points, columns) {
  const rows = Array.from({ length: points.length / columns }, (_, i) =>
    points.slice(i * columns, (i + 1) * columns),
  );
  return [...rows, ...rows[0].map((_, i) => rows.map((row) => row[i]))];
}

const angleTo = ([x, y]) => (Math.atan2(-x, -y) * 180) / Math.PI; // of an arm that points up at 0
const clamp = (value, most) => Math.min(Math.max(value, -most), most);
const closed = (points) => [...points, points[0]];
const below = (whole) => Math.floor(whole * Math.random());
const between = (low, high) => low + (high - low) * Math.random();
const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
