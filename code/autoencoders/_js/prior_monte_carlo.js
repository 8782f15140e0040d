// The average of p(x|z) over draws from the prior: which draws count, and how far ln of the average is from ln p(x).
export default {
  render({ model, el }) {
    const view = new View(el, model), most = 10000, others = 4;

    const cache = new Map();  // a latent's draws do not depend on the others'
    const draws = (seed, latent) => {
      const key = `${seed}/${latent}`;
      if (!cache.has(key)) {
        if (cache.size > 400) cache.clear();
        cache.set(key, randomNumbers(seed, latent).normals(most));
      }
      return cache.get(key);
    };

    // The posterior of latent j is N(mean(j), tau^2): the picture is a typical one, mean^2 + tau^2 = 1.
    const tau = () => view.get("width");
    const mean = (j) => (j % 2 ? -1 : 1) * Math.sqrt(1 - tau() ** 2);
    function logWeights(seed, latents, count) {
      const sum = new Float64Array(count), spread = tau();
      for (let j = 0; j < latents; j++) {
        const z = draws(seed, j), center = mean(j), constant = Math.log(spread);
        for (let k = 0; k < count; k++) sum[k] += 0.5 * z[k] ** 2 - 0.5 * ((z[k] - center) / spread) ** 2 - constant;
      }
      return sum;
    }
    // ln of the mean weight of the first k draws, at round k.
    function running(logs) {
      const points = [];
      let top = -Infinity, total = 0, next = 1;
      logs.forEach((value, i) => {
        if (value > top) { total *= Math.exp(top - value); top = value; }
        total += Math.exp(value - top);
        if (i + 1 >= next || i + 1 === logs.length) {
          points.push([i + 1, top + Math.log(total) - Math.log(i + 1)]);
          next = Math.max(i + 2, (i + 1) * 1.06);
        }
      });
      return points;
    }

    const sizes = [10, 30, 100, 300, 1000, 3000, 10000];
    const sliders = [
      view.slider({ label: "latents m", key: "latents", min: 1, max: 20, step: 1, accent: "latent" }),
      view.slider({ label: "draws K", key: "draws", values: sizes, accent: "prior", format: (v) => v.toLocaleString("en") }),
      view.slider({
        label: "posterior \u03c4 of a latent", key: "width", min: 0.1, max: 0.95, step: 0.05, accent: "posterior",
        format: (v) => fixed(v),
      }),
    ];
    const plane = view.plot({ label: "draws", height: (width) => Math.min(width, 260) });
    const error = view.plot({ label: "estimate", height: 260 });
    const readings = view.readings(["error of ln p\u0302(x)", "effective sample size", "share of the largest weight", "e^KL"]);
    const again = view.button("New draws", () => view.change({ seed: view.get("seed") + 1 }));
    const column = (grow, canvas, ...keys) => {
      const block = h("div", { class: "stack" }, h("div", { class: "row tight" }, keys), canvas);
      block.style.flex = grow;
      return block;
    };
    view.body.append(
      h("div", { class: "row" }, sliders.map((slider) => { slider.classList.add("grow"); return slider; })),
      h("div", { class: "row" },
        column("1 1 220px", plane.canvas, legendKey("prior", "draws", "dot"), legendKey("posterior", "their weights", "dot")),
        column("1.6 1 260px", error.canvas, legendKey("posterior", "error so far"), legendKey("prior", "four other runs"))),
      h("div", { class: "row center" }, readings.table, h("div", { class: "stack grow" }, h("div", {}, again), view.status)));

    return view.start(["latents", "draws", "width", "seed"], () => {
      const latents = view.get("latents"), count = view.get("draws"), seed = view.get("seed"), spread = tau();
      const logs = logWeights(seed, latents, count), top = Math.max(...logs);
      const weights = logs.map((value) => Math.exp(value - top)), total = weights.reduce((a, b) => a + b, 0);
      const effective = total ** 2 / weights.reduce((a, b) => a + b * b, 0), largest = 1 / total;
      const curve = running(logs), last = curve.at(-1)[1], kl = -latents * Math.log(spread);

      const half = 3.4, flat = { range: [-half, half] };
      const drawing = axes(view, plane, {
        x: { ...flat, label: "latent 1" }, y: { ...flat, label: latents > 1 ? "latent 2" : "" }, left: 34, right: 4,
      });
      const { context, sx, sy, box } = drawing;
      const [a, b] = [draws(seed, 0), draws(seed, 1)], place = (k) => [sx(a[k]), sy(latents > 1 ? b[k] : 0)];
      context.save();
      context.beginPath();
      context.rect(box.left, box.top, box.right - box.left, box.bottom - box.top);
      context.clip();
      context.globalAlpha = count > 1000 ? 0.3 : 0.6;
      context.fillStyle = view.color.prior;
      for (let k = 0; k < Math.min(count, 3000); k++) {
        const [px, py] = place(k);
        context.fillRect(px - 1, py - 1, 2, 2);
      }
      context.globalAlpha = 0.75;
      weights.forEach((weight, k) => {
        if (weight > 1e-3 * total) dot(context, ...place(k), 16 * Math.sqrt(weight / total), view.color.posterior);
      });
      context.globalAlpha = 1;
      context.strokeStyle = view.color.ink;
      context.lineWidth = 1.5;
      context.beginPath();
      const [cx, cy] = [sx(mean(0)), sy(latents > 1 ? mean(1) : 0)], pixels = sx(1) - sx(0);
      context.ellipse(cx, cy, 2 * spread * pixels, latents > 1 ? 2 * spread * (sy(0) - sy(1)) : 6, 0, 0, 2 * Math.PI);
      context.stroke();
      context.restore();
      plane.describe(`${count} draws from the prior in the plane of the first two latents; the ellipse is the posterior. `
        + `The largest weight has ${fixed(100 * largest, 0)} % of the sum.`);

      const lowest = Math.min(...curve.map(([, value]) => value), -1);
      const floor = -[2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000].find((bound) => bound >= -lowest);
      const powers = [1, 10, 100, 1000, 10000].filter((value) => value <= count);
      const frame = axes(view, error, {
        x: { range: [1, count], log: true, label: "draws so far", ticks: powers.map((value) => ({ value, text: `${value}` })) },
        y: { range: [floor, -0.3 * floor], label: "error, nats" }, right: 22,
      });
      const path = (points) => line(frame.context, points.map(([k, value]) => [frame.sx(k), frame.sy(value)]));
      frame.context.save();
      frame.context.beginPath();
      frame.context.rect(frame.box.left, frame.box.top, frame.box.right - frame.box.left, frame.box.bottom - frame.box.top);
      frame.context.clip();
      frame.context.strokeStyle = view.color.ink;
      path([[1, 0], [count, 0]]);
      frame.context.strokeStyle = view.color.prior;
      for (let run = 1; run <= others; run++) path(running(logWeights(seed + 1000 * run, latents, count)));
      frame.context.strokeStyle = view.color.posterior;
      frame.context.lineWidth = 2.5;
      path(curve);
      frame.context.restore();
      error.describe(`Error of the estimate of ln p(x) as draws accumulate; after ${count} draws ${fixed(last)} nats`);

      const needed = Math.exp(kl);
      readings.write(`${fixed(last)} nats`, fixed(effective, 1), `${fixed(100 * largest, 0)} %`,
        needed < 1e6 ? Math.round(needed).toLocaleString("en") : needed.toExponential(0).replace("e+", " \u00b7 10^"));
      view.say(`${count.toLocaleString("en")} draws are worth ${fixed(effective, 1)}. `
        + (count > 10 * needed ? "There are enough for this posterior." : count > needed ? "They barely suffice."
          : "Too few: the posterior is hit by luck or not at all."));
    });
  },
};
