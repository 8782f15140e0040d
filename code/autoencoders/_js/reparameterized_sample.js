// z = mu + sigma * epsilon for a handful of held noise values, and the pathwise gradient that each of them contributes.
export default {
  render({ model, el }) {
    const view = new View(el, model), range = [-4, 4], steps = 400;
    const center = 1, width = 0.5;  // of the bump; the step stands at its center
    const points = Array.from({ length: steps + 1 }, (_, i) => range[0] + (i * (range[1] - range[0])) / steps);
    const normal = (u) => Math.exp(-0.5 * u * u) / Math.sqrt(2 * Math.PI);
    const bump = (z) => Math.exp(-0.5 * ((z - center) / width) ** 2);
    // Each f with its slope, and the exact derivatives of E[f(z)] with respect to mu and sigma.
    const functions = {
      square: { text: "z\u00b2", top: 10, f: (z) => z * z, slope: (z) => 2 * z, exact: (m, s) => [2 * m, 2 * s] },
      bump: {
        text: "a bump", top: 1.15, f: bump, slope: (z) => (-(z - center) / width ** 2) * bump(z),
        exact: (m, s) => {
          const v = width ** 2 + s * s, d = m - center, mean = (width / Math.sqrt(v)) * Math.exp((-0.5 * d * d) / v);
          return [(-mean * d) / v, mean * s * ((d / v) ** 2 - 1 / v)];
        },
      },
      step: {
        text: "the step", top: 1.15, f: (z) => +(z > center), slope: () => 0,
        exact: (m, s) => {
          const u = (m - center) / s;
          return [normal(u) / s, (-u / s) * normal(u)];
        },
      },
    };
    const noise = model.get("noise"), count = noise[0].length;
    const epsilon = () => noise[view.get("draw")];
    const next = () => (view.get("draw") + 1) % noise.length;
    const move = (key) => (value) => view.change({ [key]: value, ...(view.get("hold") ? {} : { draw: next() }) });
    const sliders = [["mu", "mean \u03bc", -2, 2], ["sigma", "standard deviation \u03c3", 0.05, 2]].map(
      ([key, label, min, max]) => h("div", { class: "grow" }, view.slider({
        label, key, min, max, step: 0.05, accent: "encoder", format: (v) => fixed(v), write: move(key),
      })));
    const hold = view.choice({
      label: "the noise \u03b5", key: "hold", options: [[true, "held"], [false, "redrawn at every move"]],
    });
    const options = Object.entries(functions).map(([name, { text }]) => [name, text]);
    const chosen = view.choice({ label: "f(z)", key: "f", options });
    const redraw = view.button("Redraw \u03b5", () => view.change({ draw: next() }));
    const samples = view.plot({ label: "samples", height: 290 });
    const arrows = view.plot({ label: "gradient", height: 190 });
    const readings = view.readings(["average of f", "\u2202/\u2202\u03bc: average", "\u2202/\u2202\u03bc: exact",
      "\u2202/\u2202\u03c3: average", "\u2202/\u2202\u03c3: exact"]);
    const keys = [["prior", "noise \u03b5"], ["latent", "samples z"], ["decoder", "f"], ["posterior", "gradient"]];
    view.body.append(
      h("div", { class: "row" }, sliders),
      h("div", { class: "row center" }, chosen, hold, redraw),
      h("div", { class: "row tight" }, keys.map(([color, text]) => legendKey(color, text, "dot"))),
      samples.canvas, arrows.canvas, readings.table, view.status);

    const arrow = (context, x0, x1, y, size) => {
      line(context, [[x0, y], [x1, y]]);
      const reach = Math.min(size, Math.abs(x1 - x0)) * Math.sign(x1 - x0);
      line(context, [[x1 - reach, y - size / 2], [x1, y], [x1 - reach, y + size / 2]]);
    };
    const note = (context, text, x, y, color, align = "left") => {
      Object.assign(context, { textAlign: align, textBaseline: "middle", fillStyle: color, font: `13px ${view.font}` });
      context.fillText(text, x, y);
    };

    function drawSamples(f, z) {
      const drawing = axes(view, samples, {
        x: { range, label: "z" }, y: { range: [0, f.top], label: "f(z)" }, top: 100, left: 44,
      });
      const { context, sx, sy, box } = drawing, inside = (v) => v >= range[0] && v <= range[1];
      const upper = 22, lower = 82;
      context.strokeStyle = view.color.line;
      for (const y of [upper, lower]) line(context, [[box.left, y], [box.right, y]]);
      note(context, "\u03b5", 18, upper, view.color.ink);
      note(context, "z", 18, lower, view.color.ink);
      context.lineWidth = 1.5;
      epsilon().forEach((e, i) => {
        if (!inside(z[i])) return;
        context.globalAlpha = 0.55;
        context.strokeStyle = view.color.muted;
        line(context, [[sx(e), upper], [sx(z[i]), lower]]);
        context.globalAlpha = 1;
      });
      context.lineWidth = 2.5;
      context.strokeStyle = view.color.decoder;
      const values = points.map(f.f), drawn = (i) => values[i] <= f.top;
      for (let i = 1; i <= steps; i++) {  // in pieces: what lies above the frame and a jump are left out
        if (drawn(i) && drawn(i - 1) && Math.abs(values[i] - values[i - 1]) < 0.5) {
          line(context, [[sx(points[i - 1]), sy(values[i - 1])], [sx(points[i]), sy(values[i])]]);
        }
      }
      epsilon().forEach((e, i) => {
        context.lineWidth = 1;
        dot(context, sx(e), upper, 5, view.color.prior, view.color.paper);
        if (!inside(z[i])) return;
        const x = sx(z[i]), y = sy(f.f(z[i]));
        dot(context, x, lower, 5, view.color.latent, view.color.paper);
        if (y < box.top) return;
        const run = sx(0.25) - sx(0), rise = sy(0.25 * f.slope(z[i])) - sy(0), length = Math.hypot(run, rise);
        const [dx, dy] = [run, rise].map((part) => (part * 20) / length);
        context.strokeStyle = view.color.posterior;
        context.lineWidth = 2;
        line(context, [[x - dx, y - dy], [x + dx, y + dy]]);
        dot(context, x, y, 4, view.color.latent, view.color.paper);
      });
      const said = z.map((v) => fixed(v)).join(", ");
      samples.describe(`${count} samples z = \u03bc + \u03c3\u03b5 on the curve of f, ${f.text}: ${said}`);
    }

    function drawArrows(parts, means, exact) {
      const largest = Math.max(0.3, ...parts.flat().map(Math.abs), ...exact.map(Math.abs));
      const limit = [0.5, 1, 2, 3, 4, 6, 8, 10, 15, 20, 30].find((v) => v >= largest) ?? largest;
      const { context, sx, box } = axes(view, arrows, {
        x: { range: [-limit, limit], label: "gradient" }, y: { range: [0, 1], ticks: [] }, left: 44, bottom: 38,
      });
      context.strokeStyle = view.color.muted;
      line(context, [[sx(0), box.top], [sx(0), box.bottom]]);
      ["\u2202/\u2202\u03bc", "\u2202/\u2202\u03c3"].forEach((text, row) => {
        const middle = box.top + ((row + 0.5) * (box.bottom - box.top)) / 2, gap = 40 / (count - 1);
        note(context, text, 4, middle, view.color.ink);
        context.lineWidth = 1.5;
        context.strokeStyle = view.color.latent;
        parts[row].forEach((value, i) => {
          const y = middle - 20 + i * gap;
          line(context, [[sx(0), y], [sx(value), y]]);
          dot(context, sx(value), y, 2, view.color.latent);
        });
        context.setLineDash([4, 3]);
        context.lineWidth = 2;
        context.strokeStyle = view.color.ink;
        line(context, [[sx(exact[row]), middle - 28], [sx(exact[row]), middle + 28]]);
        context.setLineDash([]);
        context.lineWidth = 4;
        context.strokeStyle = view.color.posterior;
        arrow(context, sx(0), sx(means[row]), middle, 12);
      });
      arrows.describe(`Gradient of the average of f: ${fixed(means[0])} for \u03bc, exact ${fixed(exact[0])}; `
        + `${fixed(means[1])} for \u03c3, exact ${fixed(exact[1])}. Thin lines: each sample's contribution`);
    }

    return view.start(["mu", "sigma", "f", "hold", "draw"], () => {
      const mu = view.get("mu"), sigma = view.get("sigma"), f = functions[view.get("f")];
      const z = epsilon().map((e) => mu + sigma * e), average = (values) => values.reduce((a, b) => a + b, 0) / count;
      const parts = [z.map(f.slope), z.map((v, i) => f.slope(v) * epsilon()[i])];
      const means = parts.map(average), exact = f.exact(mu, sigma);
      drawSamples(f, z);
      drawArrows(parts, means, exact);
      readings.write(...[average(z.map(f.f)), means[0], exact[0], means[1], exact[1]].map((v) => fixed(v, 3)));
      view.say(view.get("f") === "step"
        ? `Every sample says zero, and the true gradient is ${fixed(exact[0])} for \u03bc and ${fixed(exact[1])} for \u03c3.`
        : `From ${count} samples: ${fixed(means[0])} for \u03bc, where ${fixed(exact[0])} is exact, and `
          + `${fixed(means[1])} for \u03c3, where ${fixed(exact[1])} is exact.`);
    });
  },
};
