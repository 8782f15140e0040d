// A square of decoded pictures with a point in it: the plane of two latents by quantiles, or the square between four codes.

// The standard normal quantile, by halving: erf is good to 1.5e-7, and so is this in the middle.
function quantile(u) {
  let low = -6, high = 6;
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2;
    if (0.5 * (1 + erf(middle * Math.SQRT1_2)) < u) low = middle; else high = middle;
  }
  return (low + high) / 2;
}

// The share of N(0, I) in m dimensions whose squared length is below `square`: the series of the incomplete gamma function.
function shorter(m, square) {
  const x = square / 2;
  let factor = m % 2 ? 2 * Math.sqrt(x / Math.PI) : 1;
  for (let s = m % 2 ? 1.5 : 1; s <= m / 2; s++) factor *= x / s;
  let sum = 0, term = factor * Math.exp(-x);
  for (let n = 1; n < 400 && term > 1e-12; n++) { sum += term; term *= x / (m / 2 + n); }
  return clamp(sum, 0, 1);
}

const lengthOf = (z) => Math.hypot(...z);
const between = (a, b, t) => a.map((value, i) => value + t * (b[i] - value));

// As latents.great_circle: directions along a great circle, lengths evenly; a straight line where no circle is marked out.
function aroundOrigin(a, b, t) {
  const [one, other] = [a, b].map((z) => Math.max(lengthOf(z), 1e-12));
  const [u, v] = [a.map((value) => value / one), b.map((value) => value / other)];
  const angle = 2 * Math.atan2(lengthOf(u.map((value, i) => value - v[i])), lengthOf(u.map((value, i) => value + v[i])));
  const sine = Math.sin(angle);
  if (Math.abs(sine) < 1e-4 || Math.min(lengthOf(a), lengthOf(b)) === 0) return between(a, b, t);
  const [first, second] = [Math.sin((1 - t) * angle) / sine, Math.sin(t * angle) / sine];
  return u.map((value, i) => (one + t * (other - one)) * (first * value + second * v[i]));
}

export default {
  render({ model, el }) {
    const view = new View(el, model), plane = view.get("kind") === "plane";
    const decode = buildNetwork(view.get("manifest"), view.bytes("weights"));
    const side = view.get("side"), m = view.get("latent"), shape = view.get("shape"), [height, width] = shape;
    const names = view.get("names"), stored = plane ? null : new Float32Array(view.bytes("codes").slice().buffer);
    const keys = plane ? ["u", "path"] : ["u", "path", "corners"];

    function code([x, y]) {
      const path = view.get("path");
      if (plane) return [x, y].map((u) => (path === "even" ? 6 * u - 3 : quantile(clamp(u, 1e-3, 1 - 1e-3))));
      const walk = path === "sphere" ? aroundOrigin : between;
      const [a, b, c, d] = view.get("corners").map((i) => [...stored.subarray(i * m, (i + 1) * m)]);
      return walk(walk(a, b, x), walk(c, d, x), 1 - y);
    }

    // The plane's pictures stand in the middle of their cells; of the corners', the first and the last are the corners.
    const [first, step] = plane ? [0.5 / side, 1 / side] : [0, 1 / (side - 1)];
    const tile = (share) => clamp(first + (share * side - 0.5) * step, 0, 1);
    const untile = (u) => ((u - first) / step + 0.5) / side;
    const square = view.pad({
      label: "Point of the square; the arrow keys move it, with Shift faster",
      key: "u", height: (size) => size, range: () => [[0, 1], [0, 1]], step: () => 1 / 48,
      toValue: (px, py) => [tile(px / square.width), tile(1 - py / square.height)],
      say: ([x, y]) => `${Math.round(100 * x)} percent to the right, ${Math.round(100 * y)} percent up`,
    });

    // The pictures are decoded once for each theme, path and choice of corners.
    const still = document.createElement("canvas");
    let painted = "";
    still.width = side * width;
    still.height = side * height;
    function paintStill() {
      const stamp = [view.dark, view.get("path"), view.get("corners")].join();
      if (stamp === painted) return;
      painted = stamp;
      for (let row = 0; row < side; row++) for (let column = 0; column < side; column++) {
        const picture = decode(Float32Array.from(code([first + column * step, 1 - first - row * step])));
        view.paint(still, shape, picture, { at: [column * width, row * height] });
      }
    }

    const decoded = view.picture({ label: "decoded", caption: "decoded at the point", shape, size: 150 });
    const options = plane ? [["quantiles", "by quantiles"], ["even", "evenly, \u22123 to 3"]]
      : [["line", "straight lines"], ["sphere", "on the sphere"]];
    const path = view.choice({ label: plane ? "spacing" : "path", key: "path", options });
    const readings = view.readings(plane ? ["z", "share of N(0, I) closer to 0"]
      : ["length of z", "share of N(0, I) with a shorter z"]);
    const places = ["upper left", "upper right", "lower left", "lower right"];
    const sliders = plane ? [] : places.map((place, i) => view.slider({
      label: place, values: names.map((_, k) => k), accent: "latent", format: (k) => `a ${names[k]} (${k + 1})`,
      read: () => view.get("corners")[i],
      write: (k) => view.change({ corners: view.get("corners").map((old, j) => (j === i ? k : old)) }),
    }));
    const wide = h("div", { class: "stack grow" }, square.canvas), controls = h("div", { class: "stack" }, path, sliders);
    wide.style.flex = "1 1 300px";
    const beside = h("div", { class: "stack" }, h("div", { class: "pictures" }, decoded.figure), readings.table, controls,
      view.status);
    beside.style.flex = "1 1 230px";
    view.body.append(h("div", { class: "row" }, wide, beside));

    return view.start(keys, () => {
      const u = view.get("u"), z = code(u), length = lengthOf(z), share = `${fixed(100 * shorter(m, length ** 2), 1)} %`;
      paintStill();
      const context = square.begin();
      context.imageSmoothingEnabled = true;
      context.drawImage(still, 0, 0, square.width, square.height);
      const px = untile(u[0]) * square.width, py = (1 - untile(u[1])) * square.height;
      context.lineWidth = 4;
      dot(context, px, py, 8, view.color.latent, view.color.paper);
      context.lineWidth = 2;
      dot(context, px, py, 8, view.color.latent, view.color.ink);
      decoded.draw(decode(Float32Array.from(z)));
      const where = plane ? `z = (${fixed(z[0])}, ${fixed(z[1])})` : square.canvas.getAttribute("aria-valuetext");
      decoded.describe(`the picture decoded at ${where}`);
      readings.write(plane ? where.slice(4) : fixed(length), share);
      view.say(plane ? `At ${where}: ${share} of the prior is closer to the origin.`
        : `At ${where}, z has the length ${fixed(length)}: ${share} of the prior's draws are shorter.`);
    });
  },
};
