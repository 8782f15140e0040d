// One latent of a VAE with a linear decoder: its objective over (mu, log sigma^2), and the two forces at a point of the map.
export default {
  render({ model, el }) {
    const view = new View(el, model), x = view.get("x"), range = view.get("range"), values = view.get("variances");
    const [[left, right], [bottom, top]] = range;
    const weight = () => view.get("w"), variance = () => view.get("c");

    const reconstruction = ([mu, s]) => ((x - weight() * mu) ** 2 + weight() ** 2 * Math.exp(s)) / (2 * variance());
    const divergence = ([mu, s]) => 0.5 * (mu ** 2 + Math.exp(s) - 1 - s);
    const total = (q) => reconstruction(q) + divergence(q);
    const slopes = ([mu, s]) => {
      const w = weight(), c = variance();
      return [[(-w * (x - w * mu)) / c, (w ** 2 * Math.exp(s)) / (2 * c)], [mu, 0.5 * (Math.exp(s) - 1)]];
    };
    const bestPoint = () => {
      const precision = variance() + weight() ** 2;
      return [(weight() * x) / precision, Math.log(variance() / precision)];
    };

    // Downhill in steps of at most 0.05 along each axis, each divided by its own curvature, as far as the lowest point.
    let path = [];
    function descend(steps) {
      let q = [...view.get("q")];
      path = path.length && path.at(-1).every((value, i) => value === q[i]) ? path : [q];
      for (let i = 0; i < steps; i++) {
        const [pull, push] = slopes(q), w2 = weight() ** 2 / variance();
        const curvature = [w2 + 1, 0.5 * Math.exp(q[1]) * (w2 + 1) + 0.05];
        q = q.map((value, j) => value - clamp((0.5 * (pull[j] + push[j])) / curvature[j], -0.05, 0.05));
        q = [clamp(q[0], left, right), clamp(q[1], bottom, top)];
        path.push(q);
      }
      view.change({ q });
    }

    const plane = view.pad({
      label: "Mean and log-variance of q; the arrow keys move the point, with Shift faster", key: "q",
      height: (width) => Math.min(360, 0.8 * width), range: () => range, step: () => 0.05, toValue: (px, py) => toValue(px, py),
      say: ([mu, s]) => `mean ${fixed(mu)}, log-variance ${fixed(s)}`,
    });
    let toValue = () => view.get("q");
    const c = view.slider({ label: "pixel variance c", key: "c", values, format: (v) => significant(v, 1), accent: "data" });
    const w = view.slider({ label: "weight w of the decoder", key: "w", min: 0, max: 2, step: 0.1, accent: "decoder",
      format: (v) => fixed(v, 1) });
    const readings = view.readings(["\u03bc", "\u03c3", "reconstruction", "divergence", "sum", "lowest sum"]);
    const buttons = h("div", { class: "row tight" }, view.button("10 steps downhill", () => descend(10)),
      view.button("To the bottom", () => descend(600)));
    const wide = h("div", { class: "stack grow" }, plane.canvas, h("div", { class: "row tight" },
      legendKey("decoder", "pull of the reconstruction"), legendKey("encoder", "pull of the divergence")));
    const side = h("div", { class: "stack grow" }, c, w, buttons, readings.table, view.status);
    wide.style.flex = "1 1 330px";
    view.body.append(h("div", { class: "row" }, wide, side));

    function arrow(context, from, [dx, dy], color) {
      const size = Math.hypot(dx, dy);
      if (size < 2) return;
      const to = [from[0] + dx, from[1] + dy], [ux, uy] = [dx / size, dy / size];
      context.strokeStyle = context.fillStyle = color;
      context.lineWidth = 3;
      line(context, [from, to]);
      context.beginPath();
      context.moveTo(to[0] + 7 * ux, to[1] + 7 * uy);
      context.lineTo(to[0] - 5 * uy, to[1] + 5 * ux);
      context.lineTo(to[0] + 5 * uy, to[1] - 5 * ux);
      context.fill();
    }

    return view.start(["q", "c", "w"], () => {
      const q = view.get("q"), best = bestPoint(), least = total(best);
      if (path.length && !path.at(-1).every((value, i) => value === q[i])) path = [];
      const drawing = axes(view, plane, {
        x: { range: [left, right], label: "mean \u03bc" }, y: { range: [bottom, top], label: "log \u03c3\u00b2" },
      });
      const { context, sx, sy } = drawing;
      const inverse = (scale, low, high) => (pixel) => low + ((pixel - scale(low)) / (scale(high) - scale(low))) * (high - low);
      const ux = inverse(sx, left, right), uy = inverse(sy, bottom, top);
      toValue = (px, py) => [ux(px), uy(py)];

      // Bands of equal height above the lowest point, on a scale of nats that doubles from band to band.
      const cell = 3, band = (excess) => Math.max(0, Math.floor(2 + Math.log2(Math.max(excess, 1e-6))));
      context.fillStyle = view.color.latent;
      for (let px = sx(left); px < sx(right); px += cell) for (let py = sy(top); py < sy(bottom); py += cell) {
        const width = Math.min(cell, sx(right) - px), height = Math.min(cell, sy(bottom) - py);
        context.globalAlpha = 0.62 / (1 + band(total([ux(px + width / 2), uy(py + height / 2)]) - least));
        context.fillRect(px, py, width, height);
      }
      context.globalAlpha = 1;
      context.strokeStyle = view.color.ink;
      context.lineWidth = 1.5;
      const [bx, by] = [sx(clamp(best[0], left, right)), sy(clamp(best[1], bottom, top))];
      line(context, [[bx - 6, by], [bx + 6, by]]);
      line(context, [[bx, by - 6], [bx, by + 6]]);
      context.strokeStyle = view.color.posterior;
      context.lineWidth = 2;
      if (path.length > 1) line(context, path.map(([mu, s]) => [sx(mu), sy(s)]));

      // Arrows are as long as the logarithm of the force says, so that both can be seen.
      const point = [sx(q[0]), sy(q[1])], forces = slopes(q);
      forces.forEach(([a, b], i) => {
        const size = Math.hypot(a, b), length = (16 * Math.log1p(4 * size)) / (size || 1);
        arrow(context, point, [-a * length, b * length], view.color[i ? "encoder" : "decoder"]);
      });
      dot(context, ...point, 7, view.color.posterior, view.color.ink);

      const sigma = Math.exp(q[1] / 2), sum = total(q), nats = (value) => `${fixed(value, 3)} nats`;
      readings.write(fixed(q[0], 3), fixed(sigma, 3), ...[reconstruction(q), divergence(q), sum, least].map(nats));
      const ideal = `The lowest point has mean ${fixed(best[0])} and standard deviation ${fixed(Math.exp(best[1] / 2))}`;
      view.say(sum - least < 0.005 ? `At the bottom: the two pulls cancel. ${ideal}.`
        : `${fixed(sum - least)} nats above the lowest point. ${ideal}.`);
    });
  },
};
