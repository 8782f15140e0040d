// A Gaussian q dragged and stretched over the posterior of a digit, and the two terms of the bound that it gives.
export default {
  render({ model, el }) {
    const view = new View(el, model);
    const decode = buildNetwork(view.get("manifest"), view.bytes("weights"));
    const shape = view.get("shape"), pixels = shape[0] * shape[1] * shape[2], stored = view.bytes("images");
    const nodes = view.get("nodes"), nodeWeights = view.get("node_weights"), encoder = view.get("encoder");
    const count = encoder.length, least = 0.004, most = 2;
    const current = (key) => view.get(key)[view.get("image")];
    const picture = (i) => stored.subarray(i * pixels, (i + 1) * pixels);
    const sigmoid = (v) => 1 / (1 + Math.exp(-v));
    const total = (values) => values.reduce((sum, v) => sum + v, 0);

    // E_q log p(x|z) by quadrature, KL(q || p(z)) in closed form, and two pictures: at the center, and averaged over q.
    const center = new Float32Array(pixels), average = new Float32Array(pixels);
    function bound(mean, scale) {
      const x = picture(view.get("image"));
      let likelihood = 0;
      average.fill(0);
      nodes.forEach((a, i) => nodes.forEach((b, j) => {
        const weight = nodeWeights[i] * nodeWeights[j];
        const logits = decode(Float32Array.of(mean[0] + scale[0] * a, mean[1] + scale[1] * b));
        let sum = 0;
        for (let k = 0; k < pixels; k++) {
          const l = logits[k], e = Math.exp(-Math.abs(l));
          sum += (x[k] ? l : 0) - Math.max(l, 0) - Math.log1p(e);
          average[k] += (weight * (l > 0 ? 1 : e)) / (1 + e);
        }
        likelihood += weight * sum;
      }));
      center.set(decode(Float32Array.from(mean)).map(sigmoid));
      const divergence = total(mean.map((m, i) => 0.5 * (m * m + scale[i] ** 2 - 1) - Math.log(scale[i])));
      return { likelihood, divergence, elbo: likelihood - divergence };
    }

    const range = () => current("ranges");
    const where = () => `center (${view.get("mean").map((v) => fixed(v)).join(", ")})`;
    const plane = view.plot({
      label: "Center of q; the arrow keys move it, with Shift faster", height: (width) => width, role: "slider",
      className: "plot pad",
    });
    const { canvas } = plane;
    canvas.tabIndex = 0;
    canvas.setAttribute("aria-roledescription", "two-dimensional slider");
    view.controls.push(() => {
      const [[left, right]] = range();
      canvas.setAttribute("aria-valuemin", left);
      canvas.setAttribute("aria-valuemax", right);
      canvas.setAttribute("aria-valuenow", view.get("mean")[0]);
      canvas.setAttribute("aria-valuetext", where());
    });
    const toX = (v) => { const [[left, right]] = range(); return ((v - left) / (right - left)) * plane.width; };
    const toY = (v) => { const [, [low, high]] = range(); return ((high - v) / (high - low)) * plane.height; };
    const toPlane = (px, py) => {
      const [[left, right], [low, high]] = range();
      return [left + (px / plane.width) * (right - left), high - (py / plane.height) * (high - low)];
    };
    const move = (point) => view.change({ mean: point.map((v, i) => clamp(v, ...range()[i])) });
    const stretch = (i, sigma) => view.change({
      scale: view.get("scale").map((old, j) => (j === i ? clamp(sigma, least, most) : old)),
    });

    // Three things to take hold of: the center, and for each axis the end of the ellipse at two standard deviations.
    // A handle that lies outside the window waits at its edge.
    const handles = () => {
      const mean = view.get("mean"), scale = view.get("scale"), edge = 9;
      const inside = ([x, y]) => [clamp(x, edge, plane.width - edge), clamp(y, edge, plane.height - edge)];
      return [
        [toX(mean[0]), toY(mean[1])],
        inside([toX(mean[0] + 2 * scale[0]), toY(mean[1])]),
        inside([toX(mean[0]), toY(mean[1] + 2 * scale[1])]),
      ];
    };
    let held = 0;
    const spot = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    const follow = (event) => {
      const point = toPlane(...spot(event)), mean = view.get("mean");
      if (held === 0) move(point);
      else stretch(held - 1, Math.abs(point[held - 1] - mean[held - 1]) / 2);
    };
    view.listen(canvas, "pointerdown", (event) => {
      const [x, y] = spot(event), far = handles().map(([a, b]) => Math.hypot(a - x, b - y));
      const closest = far[1] < far[2] ? 1 : 2;
      held = far[closest] < 22 && far[closest] < far[0] ? closest : 0;
      canvas.setPointerCapture(event.pointerId);
      follow(event);
    });
    view.listen(canvas, "pointermove", (event) => { if (event.buttons) follow(event); });
    view.listen(canvas, "keydown", (event) => {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!way) return;
      event.preventDefault();
      const [[left, right]] = range(), far = ((right - left) / 100) * (event.shiftKey ? 5 : 1);
      move(view.get("mean").map((v, i) => v + far * way[i]));
    });

    const widths = [0, 1].map((i) => view.slider({
      label: `standard deviation \u03c3${"\u2081\u2082"[i]}`, min: Math.log10(least), max: Math.log10(most), step: 0.01,
      accent: "posterior", format: (v) => fixed(10 ** v, 3),
      read: () => Math.log10(view.get("scale")[i]), write: (v) => stretch(i, 10 ** v),
    }));
    const asEncoder = () => {
      const q = current("encoder");
      view.change({ mean: q.slice(0, 2), scale: q.slice(2) });
    };
    const given = view.picture({ label: "the digit x", caption: "x", shape, size: 90 });
    const middle = view.picture({ label: "decoded center of q", caption: "at the center", shape, size: 90 });
    const mixed = view.picture({ label: "decoded, averaged over q", caption: "over q", shape, size: 90 });
    const bars = view.plot({ label: "the negative ELBO in its parts", height: 92 });
    const readings = view.readings(["E log p(x|z)", "\u2212 KL(q \u2016 p)", "= ELBO", "log p(x)", "gap"]);
    const wide = h("div", { class: "stack grow" }, canvas, h("div", { class: "row tight" },
      legendKey("decoder", "true posterior: 50, 90, 99 %"), legendKey("posterior", "q: one and two \u03c3")));
    wide.style.flex = "1 1 300px";
    const side = h("div", { class: "stack" }, widths,
      h("div", { class: "pictures" }, given.figure, middle.figure, mixed.figure), readings.table,
      h("div", {}, view.button("q of the encoder", asEncoder)));
    side.style.flex = "1 1 250px";
    view.body.append(
      view.gallery({ label: "digit", key: "image", count, paint: picture, shape }),
      h("div", { class: "row" }, wide, side),
      h("div", { class: "row tight" }, legendKey("posterior", "KL"), legendKey("data", "\u2212 E log p(x|z)"),
        legendKey("ink", "\u2212 log p(x)")),
      bars.canvas, view.status);

    function drawPlane(mean, scale) {
      const context = plane.begin();
      current("contours").forEach((lines, level) => {
        context.lineWidth = 1.5;
        context.strokeStyle = context.fillStyle = view.color.decoder;
        for (const path of lines) {
          context.globalAlpha = 0.22;
          context.beginPath();
          for (const [x, y] of path) context.lineTo(toX(x), toY(y));
          context.fill();
          context.globalAlpha = [1, 0.8, 0.6][level];
          context.stroke();
        }
      });
      context.globalAlpha = 1;
      context.fillStyle = view.color.muted;
      for (const a of nodes) for (const b of nodes) {
        dot(context, toX(mean[0] + a * scale[0]), toY(mean[1] + b * scale[1]), 1.3, view.color.muted);
      }
      const [[left, right]] = range(), pixel = plane.width / (right - left);
      context.strokeStyle = view.color.posterior;
      for (const radius of [1, 2]) {
        context.lineWidth = radius === 1 ? 1.5 : 2.5;
        context.beginPath();
        context.ellipse(toX(mean[0]), toY(mean[1]), radius * scale[0] * pixel, radius * scale[1] * pixel, 0, 0, 7);
        context.stroke();
      }
      const [middlePoint, ...ends] = handles();
      context.lineWidth = 2;
      for (const end of ends) dot(context, ...end, 6, view.color.paper, view.color.posterior);
      dot(context, ...middlePoint, 7, view.color.posterior, view.color.paper);
      context.font = `12px ${view.font}`;
      context.fillStyle = view.color.muted;
      context.textAlign = "left";
      context.textBaseline = "bottom";
      const [, [low, high]] = range();
      context.fillText(`z\u2081 ${fixed(left)} to ${fixed(right)}, z\u2082 ${fixed(low)} to ${fixed(high)}`,
        6, plane.height - 5);
      context.strokeStyle = view.color.line;
      context.lineWidth = 1;
      context.strokeRect(0.5, 0.5, plane.width - 1, plane.height - 1);
    }

    // The bar is the negative ELBO; what of it lies to the right of the mark is the gap.
    function drawBars({ likelihood, divergence, elbo }, evidence) {
      const end = 1.5 * -evidence;
      const { context, sx, box } = axes(view, bars, {
        x: { range: [0, end], label: "nats" }, y: { range: [0, 1], ticks: [] }, left: 10, top: 6,
      });
      const top = box.top + 8, tall = box.bottom - box.top - 16;
      const parts = [[0, divergence, "posterior"], [divergence, -elbo, "data"]];
      for (const [from, to, color] of parts) {
        context.fillStyle = view.color[color];
        context.globalAlpha = 0.75;
        context.fillRect(sx(Math.min(from, end)), top, sx(Math.min(to, end)) - sx(Math.min(from, end)), tall);
      }
      context.globalAlpha = 1;
      context.strokeStyle = view.color.ink;
      context.lineWidth = 2.5;
      line(context, [[sx(-evidence), box.top], [sx(-evidence), box.bottom]]);
      bars.describe(`Negative ELBO ${fixed(-elbo, 1)} nats: KL ${fixed(divergence, 1)} and expected negative ` +
        `log-likelihood ${fixed(-likelihood, 1)}; negative log evidence ${fixed(-evidence, 1)}`);
    }

    let shown = view.get("image");
    return view.start(["image", "mean", "scale"], () => {
      if (shown !== view.get("image")) {
        shown = view.get("image");
        asEncoder();
        return;
      }
      const mean = view.get("mean"), scale = view.get("scale"), terms = bound(mean, scale);
      const evidence = current("evidence"), gap = evidence - terms.elbo;
      drawPlane(mean, scale);
      drawBars(terms, evidence);
      given.draw(picture(shown));
      middle.draw(center);
      mixed.draw(average);
      readings.write(...[terms.likelihood, -terms.divergence, terms.elbo, evidence].map((v) => fixed(v, 1)), fixed(gap, 1));
      view.say(`The bound lies ${fixed(gap, 1)} nats below log p(x); that is KL(q \u2016 p(z|x)). The code costs ` +
        `${fixed(terms.divergence, 1)} nats, the picture given the code ${fixed(-terms.likelihood, 1)}.`);
    });
  },
};
