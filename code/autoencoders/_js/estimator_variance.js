// Clouds of gradient estimates of E[|z - a|^2 / 2], z ~ N(mu, I), for mu - a = (1, ..., 1), and their variances in
// closed form: eq-score-function-variances. All estimators look at the same draws.
const NAMES = ["score function", "leave-one-out", "reparameterized"];
const ACCENTS = ["posterior", "latent", "decoder"];

// The sum over the m coordinates of the variance of one estimate made of `samples` draws.
function variances(m, samples) {
  const leave = (1.5 * m * m + 3 * m) / samples + (1.5 * m * m + m) / (samples * (samples - 1));
  return [(m ** 3 + 3.5 * m * m + 3 * m) / samples, samples > 1 ? leave : NaN, m / samples];
}

export default {
  render({ model, el }) {
    const view = new View(el, model), estimates = 150;
    const dimensions = view.get("dimensions"), counts = view.get("counts");
    const deepest = dimensions.at(-1), most = counts.at(-1), draws = estimates * most;
    const epsilon = randomNumbers(0).normals(draws * deepest);  // the same on every visit
    // loss[m][draw] = |1 + epsilon|^2 / 2 over the first m coordinates.
    const loss = Object.fromEntries(dimensions.map((m) => [m, new Float32Array(draws)]));
    for (let i = 0; i < draws; i++) {
      let sum = 0;
      for (let j = 0; j < deepest; j++) {
        sum += 0.5 * (1 + epsilon[i * deepest + j]) ** 2;
        if (loss[j + 1]) loss[j + 1][i] = sum;
      }
    }
    // The first two coordinates of `estimates` estimates by each estimator.
    const clouds = (m, samples) => {
      const points = NAMES.map(() => []);
      for (let n = 0; n < estimates; n++) {
        const f = loss[m].subarray(n * most, n * most + samples), total = f.reduce((a, b) => a + b, 0);
        const pair = NAMES.map(() => [0, 0]);
        for (let k = 0; k < samples; k++) {
          for (const j of [0, 1]) {
            const noise = epsilon[(n * most + k) * deepest + j];
            pair[0][j] += (f[k] * noise) / samples;
            pair[1][j] += ((f[k] - (total - f[k]) / (samples - 1)) * noise) / samples;
            pair[2][j] += (1 + noise) / samples;
          }
        }
        pair.forEach((point, e) => points[e].push(point));
      }
      return points;
    };

    const upper = view.plot({ label: "estimates", height: (width) => Math.min(330, 0.8 * width) });
    const lower = view.plot({ label: "variance", height: 210 });
    const readings = view.readings(NAMES);
    const word = (count) => `${count} draw${count > 1 ? "s" : ""}`;
    view.body.append(
      h("div", { class: "row" },
        h("div", { class: "grow" }, view.slider({ label: "dimension m", key: "m", values: dimensions, accent: "encoder" })),
        h("div", { class: "grow" },
          view.slider({ label: "draws for an estimate", key: "samples", values: counts, accent: "encoder" }))),
      h("div", { class: "row tight" }, NAMES.map((name, e) => legendKey(ACCENTS[e], name, "dot"))),
      upper.canvas,
      h("div", {}, h("p", { class: "status" }, "variance of an estimate, summed over its coordinates"), readings.table),
      lower.canvas, view.status);

    return view.start(["m", "samples"], () => {
      const m = view.get("m"), samples = view.get("samples"), now = variances(m, samples);
      const reach = 2.6 * Math.sqrt(now[0] / m) + 1, centered = [1 - reach, 1 + reach];
      const ratio = upper.width / Math.max(upper.height, 1);
      const wide = [1 - reach * ratio, 1 + reach * ratio];
      const { context, sx, sy, box } = axes(view, upper, {
        x: { range: wide, label: "first coordinate of the estimate" }, y: { range: centered, label: "second" },
      });
      context.save();
      context.beginPath();
      context.rect(box.left, box.top, box.right - box.left, box.bottom - box.top);
      context.clip();
      clouds(m, samples).forEach((points, e) => {
        if (Number.isNaN(now[e])) return;
        context.globalAlpha = 0.55;
        for (const [x, y] of points) dot(context, sx(x), sy(y), 3, view.color[ACCENTS[e]]);
      });
      context.restore();
      context.globalAlpha = 1;
      context.strokeStyle = view.color.ink;
      context.lineWidth = 2;
      for (const [dx, dy] of [[7, 0], [0, 7]]) line(context, [[sx(1) - dx, sy(1) - dy], [sx(1) + dx, sy(1) + dy]]);
      upper.describe(`${estimates} estimates by each estimator around the true gradient, whose coordinates are all 1`);

      const powers = [0.01, 1, 100, 1e4, 1e6].map((value, i) => ({ value, text: ["0.01", "1", "100", "10\u2074", "10\u2076"][i] }));
      const chart = axes(view, lower, {
        x: { range: [1, deepest], label: "dimension m", log: true, ticks: dimensions.map((v) => ({ value: v, text: `${v}` })) },
        y: { range: [0.01, 1e6], label: "variance", log: true, ticks: powers }, left: 56,
      });
      NAMES.forEach((_, e) => {
        if (Number.isNaN(now[e])) return;
        chart.context.strokeStyle = view.color[ACCENTS[e]];
        chart.context.lineWidth = 2.5;
        line(chart.context, dimensions.map((d) => [chart.sx(d), chart.sy(variances(d, samples)[e])]));
        dot(chart.context, chart.sx(m), chart.sy(now[e]), 5, view.color[ACCENTS[e]], view.color.ink);
      });
      lower.describe(`Variance against dimension for ${word(samples)}, both axes logarithmic`);
      readings.write(...now.map((value) => (Number.isNaN(value) ? "needs 2 draws" : significant(value, 3))));
      const times = significant(now[0] / now[2], 3);
      const other = Number.isNaN(now[1]) ? "" : `, leave-one-out ${significant(now[1] / now[2], 3)} times`;
      view.say(`In ${m} dimension${m > 1 ? "s" : ""} with ${word(samples)} the score function's variance is ${times} times ` +
        `the reparameterized one's${other}.`);
    });
  },
};
