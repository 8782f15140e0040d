// A vector before quantization and its nearest code in the plane of a decoder's two inputs. The decoder's error is taken at
// the code, its gradient is copied to the vector, and the vector steps along it and along the pull of the commitment.
export default {
  render({ model, el }) {
    const view = new View(el, model), codes = view.get("codes"), range = view.get("range"), rate = view.get("rate");
    const [[left, right], [bottom, top]] = range, [x1, x2] = view.get("target");
    const stretch = view.get("stretch"), bend = view.get("bend"), beta = () => view.get("beta");

    const residual = ([a, b]) => [a - x1, stretch * (b - bend * a * a) - x2];
    const error = (u) => { const [r, s] = residual(u); return 0.5 * (r * r + s * s); };
    const slope = (u) => { const [r, s] = residual(u); return [r - 2 * stretch * bend * u[0] * s, stretch * s]; };
    const nearest = ([a, b]) => {
      let best = 0, least = Infinity;
      codes.forEach(([p, q], k) => {
        const distance = (a - p) ** 2 + (b - q) ** 2;
        if (distance < least) [best, least] = [k, distance];
      });
      return best;
    };
    const rest = (e, g) => (beta() > 0 ? e.map((value, i) => value - g[i] / (2 * beta())) : null);

    // Each cell: the frame, cut along the line halfway to every other code.
    const cells = codes.map(([p, q]) => codes.reduce((polygon, [a, b]) => {
      const side = ([x, y]) => 2 * ((a - p) * x + (b - q) * y) - (a * a + b * b - p * p - q * q), kept = [];
      if (a === p && b === q) return polygon;
      polygon.forEach((point, i) => {
        const next = polygon[(i + 1) % polygon.length], [here, there] = [side(point), side(next)];
        if (here <= 0) kept.push(point);
        if (here * there < 0) kept.push(point.map((value, j) => value + (here / (here - there)) * (next[j] - value)));
      });
      return kept;
    }, [[left, bottom], [right, bottom], [right, top], [left, top]]));

    let path = [], hops = 0;
    const follows = (z) => path.length && path.at(-1).every((value, i) => value === z[i]);
    function walk(steps) {
      let z = [...view.get("z")];
      if (!follows(z)) [path, hops] = [[z], 0];
      for (let i = 0; i < steps; i++) {
        const k = nearest(z), e = codes[k], g = slope(e);
        z = z.map((value, j) => clamp(value - rate * (g[j] + 2 * beta() * (value - e[j])), ...range[j]));
        if (nearest(z) !== k) hops += 1;
        path.push(z);
      }
      view.change({ z });
    }

    let toValue = () => view.get("z");
    const plane = view.pad({
      label: "Encoder output z; the arrow keys move it, with Shift faster", key: "z",
      height: (width) => Math.min(400, 0.9 * width), range: () => range, step: () => 0.05, toValue: (a, b) => toValue(a, b),
      say: (z) => `z at ${fixed(z[0])}, ${fixed(z[1])}, nearest code ${nearest(z) + 1}`,
    });
    const slider = view.slider({ label: "commitment weight \u03b2", key: "beta", min: 0, max: 1.5, step: 0.05, accent: "encoder",
      format: (v) => fixed(v, 2) });
    const readings = view.readings(["code", "error at the code", "lowest error of a code", "distance |z \u2212 e|",
      "gradient at e, copied to z", "gradient at z itself", "z* where z would rest"]);
    const buttons = h("div", { class: "row tight" }, view.button("One step", () => walk(1)),
      view.button("20 steps", () => walk(20)),
      view.button("Back to the start", () => { [path, hops] = [[], 0]; view.change({ z: [...view.get("start")] }); }));
    const wide = h("div", { class: "stack grow" }, plane.canvas, h("div", { class: "row tight" },
      legendKey("codebook", "codes", "dot"), legendKey("latent", "z", "dot"), legendKey("decoder", "down the error"),
      legendKey("encoder", "commitment")));
    const side = h("div", { class: "stack grow" }, slider, buttons, readings.table, view.status);
    wide.style.flex = "1 1 330px";
    view.body.append(h("div", { class: "row" }, wide, side));

    function arrow(context, from, [dx, dy], color, dashed = false) {
      const size = Math.hypot(dx, dy);
      if (size < 3) return;
      const to = [from[0] + dx, from[1] + dy], [ux, uy] = [dx / size, dy / size];
      context.strokeStyle = context.fillStyle = color;
      context.lineWidth = 3;
      context.setLineDash(dashed ? [6, 4] : []);
      line(context, [from, to]);
      context.setLineDash([]);
      context.beginPath();
      context.moveTo(to[0] + 7 * ux, to[1] + 7 * uy);
      context.lineTo(to[0] - 5 * uy, to[1] + 5 * ux);
      context.lineTo(to[0] + 5 * uy, to[1] - 5 * ux);
      context.fill();
    }

    return view.start(["z", "beta"], () => {
      const z = view.get("z"), k = nearest(z), e = codes[k], g = slope(e), still = rest(e, g);
      if (!follows(z)) [path, hops] = [[], 0];
      const { context, sx, sy } = axes(view, plane, {
        x: { range: [left, right], label: "first input of the decoder" }, y: { range: [bottom, top], label: "second input" },
      });
      const back = (scale, low, high) => (pixel) => low + ((pixel - scale(low)) / (scale(high) - scale(low))) * (high - low);
      const ux = back(sx, left, right), uy = back(sy, bottom, top);
      toValue = (px, py) => [ux(px), uy(py)];

      // Bands of the error, from dark to light, and the borders of the cells.
      const cell = 3;
      context.fillStyle = view.color.decoder;
      for (let px = sx(left); px < sx(right); px += cell) for (let py = sy(top); py < sy(bottom); py += cell) {
        const width = Math.min(cell, sx(right) - px), height = Math.min(cell, sy(bottom) - py);
        context.globalAlpha = 0.5 / (1 + Math.floor(2 * Math.sqrt(error([ux(px + width / 2), uy(py + height / 2)]))));
        context.fillRect(px, py, width, height);
      }
      context.globalAlpha = 1;
      const at = ([a, b]) => [sx(a), sy(b)];
      context.strokeStyle = view.color.codebook;
      context.lineWidth = 1.5;
      for (const polygon of cells) line(context, [...polygon, polygon[0]].map(at));
      context.strokeStyle = view.color.ink;
      context.lineWidth = 1.5;
      line(context, [at(z), at(e)]);
      context.strokeStyle = view.color.latent;
      context.lineWidth = 2;
      if (path.length > 1) line(context, path.map(at));
      codes.forEach((code, i) => dot(context, ...at(code), i === k ? 7 : 5, view.color.codebook, view.color.ink));

      // Arrows are as long as the square root of the force says, so that all can be seen.
      const towards = ([a, b]) => {
        const size = Math.hypot(a, b);
        return size ? [(-a * 34) / Math.sqrt(size), (b * 34) / Math.sqrt(size)] : [0, 0];
      };
      arrow(context, at(e), towards(g), view.color.decoder);
      arrow(context, at(z), towards(g), view.color.decoder, true);
      arrow(context, at(z), towards(z.map((value, i) => 2 * beta() * (value - e[i]))), view.color.encoder);
      if (still && still.every((value, i) => value >= range[i][0] && value <= range[i][1])) {
        context.strokeStyle = view.color.ink;
        context.lineWidth = 2;
        context.beginPath();
        context.arc(...at(still), 6, 0, 2 * Math.PI);
        context.stroke();
      }
      dot(context, ...at(z), 7, view.color.latent, view.color.ink);

      const pair = (u) => `${fixed(u[0])}, ${fixed(u[1])}`;
      const distance = Math.hypot(z[0] - e[0], z[1] - e[1]), lowest = Math.min(...codes.map(error));
      readings.write(`${k + 1} of ${codes.length}`, fixed(error(e), 3), fixed(lowest, 3), fixed(distance, 3), pair(g),
        pair(slope(z)), still ? pair(still) : "none");
      const walked = path.length > 1 ? ` ${path.length - 1} steps, ${hops} changes of code.` : "";
      const away = still && Math.hypot(z[0] - still[0], z[1] - still[1]);
      const pull = `With \u03b2 = ${fixed(beta())}`;
      const fate = !still ? "Without commitment there is no point of rest: z moves on in every step."
        : nearest(still) === k ? (away < 0.02 ? `${pull} z is at rest in the cell of code ${k + 1}: the two pulls cancel.`
          : `${pull} the point of rest lies in the same cell: z will keep code ${k + 1}.`)
          : `${pull} the point of rest lies outside the cell: z will leave code ${k + 1}.`;
      view.say(fate + walked);
    });
  },
};
