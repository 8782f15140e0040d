// A small VAE that is trained here, while the reader watches: its terms, its latent plane and what it decodes.
// The model, its gradients and Adam are in tiny_vae.js; here are a run's record, its pace, its drawings and its controls.

// A history of the two terms: means over `width` updates; when there are too many of them, neighbors are joined.
function makeCurve() {
  const curve = { points: [], width: 4 };
  let sum = [0, 0], inside = 0;
  curve.add = ({ distortion, rate }) => {
    sum = [sum[0] + distortion, sum[1] + rate];
    if (++inside < curve.width) return;
    curve.points.push(sum.map((value) => value / curve.width));
    [sum, inside] = [[0, 0], 0];
    if (curve.points.length < 360) return;
    curve.points = Array.from({ length: 180 }, (_, k) =>
      [0, 1].map((i) => (curve.points[2 * k][i] + curve.points[2 * k + 1][i]) / 2));
    curve.width *= 2;
  };
  return curve;
}

// A training from its seed on, with what it has cost so far.
function makeRun(pictures, settings) {
  const training = makeTraining(pictures, settings);
  const run = { vae: training.vae, updates: 0, terms: null, speed: null, failed: false, half: 3.4 };
  Object.assign(run, { betas: [], curve: makeCurve() });
  run.update = (beta, learningRate) => {
    const terms = training.update(beta, learningRate);
    run.failed = !Number.isFinite(terms.distortion + terms.rate);
    if (run.failed) return;
    if (run.betas.at(-1)?.beta !== beta) run.betas.push({ beta, at: run.updates });
    run.updates += 1;
    run.curve.add(terms);
    const kept = Math.min(0.98, 1 - 1 / run.updates);  // the readings average over about 50 updates
    run.terms ??= terms;
    for (const key of ["distortion", "rate"]) run.terms[key] = kept * run.terms[key] + (1 - kept) * terms[key];
  };
  return run;
}

// Trains in animation frames, 10 milliseconds at most in each, while `running()` and while the widget is in view. After the
// start and after a change of beta, where most happens, a frame makes one update, then more and more. Drawings get
// at most a quarter of the time, and `tell` is called once a second.
function makeLoop(view, { running, run, update, draw, tell }) {
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let frame = 0, visible = true, since = 0, counted = 0, drawAt = 0, tellAt = 0;
  function animate(now) {
    frame = 0;
    if (!running() || !visible) return;
    frame = requestAnimationFrame(animate);
    const began = performance.now(), { updates, betas } = run();
    if (!since) [since, counted] = [began, updates];
    let most = 1 + Math.floor((updates - (betas.at(-1)?.at ?? 0)) / 100);
    do update(); while (running() && --most > 0 && performance.now() - began < 10);
    if (!running()) return;
    if (began - since > 800) {
      run().speed = (1000 * (updates - counted)) / (began - since);
      [since, counted] = [began, updates];
    }
    if (now >= drawAt) {
      const drawing = performance.now();
      draw();
      drawAt = now + Math.max(calm.matches ? 400 : 32, 3 * (performance.now() - drawing));
    }
    if (now >= tellAt) { tellAt = now + 1000; tell(); }
  }
  const resume = () => {
    since = 0;
    if (running() && visible && !frame) frame = requestAnimationFrame(animate);
  };
  const watching = new IntersectionObserver((entries) => { visible = entries.at(-1).isIntersecting; resume(); });
  watching.observe(view.el);
  view.listen(document, "visibilitychange", () => { since = 0; });
  view.whenClosed(() => { watching.disconnect(); cancelAnimationFrame(frame); });
  return { resume, smooth: () => running() && !calm.matches };
}

// The prior's circles, the means of many q(z|x), each written as its class, and the ellipses of some. `half` is half the
// plane's width.
function drawCodes(view, plot, { half, codes, labels, glyphs, ellipses, single }) {
  const context = plot.begin(), middle = plot.width / 2, scale = middle / half, { color } = view;
  const at = (values, k) => [middle + scale * values[2 * k], middle - scale * values[2 * k + 1]];
  const outline = (name, x, y, wide, tall) => {
    context.beginPath();
    context.ellipse(x, y, wide, tall, 0, 0, 2 * Math.PI);
    context.fillStyle = context.strokeStyle = color[name];
    context.globalAlpha = 0.1;
    context.fill();
    context.globalAlpha = 0.85;
    context.stroke();
    context.globalAlpha = 1;
  };
  context.lineWidth = 1;
  for (const radius of [2, 1]) outline("prior", middle, middle, radius * scale, radius * scale);
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.font = `600 ${plot.width < 300 ? 10 : 12}px ${view.font}`;
  for (let k = 0; k < codes.length / 2; k++) {
    context.globalAlpha = single !== null && single !== labels[k] ? 0.1 : 0.9;
    context.fillStyle = color.classes[labels[k] % 10];
    context.fillText(glyphs[labels[k]], ...at(codes, k));
  }
  context.lineWidth = 1.5;
  const { means, deviations } = ellipses;
  for (let k = 0; k < means.length / 2; k++) {
    outline("posterior", ...at(means, k), ...[0, 1].map((j) => Math.max(3, scale * deviations[2 * k + j])));
  }
  context.font = `12px ${view.font}`;
  context.fillStyle = color.muted;
  context.textBaseline = "top";
  if (scale > 22) for (const radius of [1, 2]) context.fillText(String(radius), middle, middle + radius * scale + 3);
  context.strokeStyle = color.line;
  context.lineWidth = 1;
  context.strokeRect(0.5, 0.5, plot.width - 1, plot.height - 1);
  plot.describe(`Latent plane from ${fixed(-half, 1)} to ${fixed(half, 1)} with the means of ${codes.length / 2} digits`);
}

// Distortion and, on top of it, rate: together the negative ELBO. Dashed lines say where beta was changed, and to what.
function drawTerms(view, plot, { curve, updates, terms, betas }, beta) {
  const { points, width } = curve, late = points.slice(Math.ceil(points.length / 12)).map(([d, r]) => d + r);
  const tallest = 1.04 * Math.max(0, ...late), tops = [20, 30, 40, 50, 75, 100, 150, 200, 300, 500, 1000, 2000];
  const high = points.length ? tops.find((top) => top >= tallest) ?? tallest : 50;
  const { context, sx, sy, box } = axes(view, plot, {
    x: { range: [0, Math.max(200, points.length * width)], label: "updates" },
    y: { range: [0, high], label: "nats a digit" }, top: 22,
  });
  const nothing = () => 0, distortion = ([d]) => d, bound = ([d, r]) => d + r;
  const path = (value) => points.map((point, k) => [sx((k + 0.5) * width), sy(value(point))]);
  context.save();
  context.beginPath();
  context.rect(box.left, box.top, box.right - box.left, box.bottom - box.top);
  context.clip();
  for (const [lower, upper, band, edge, thick] of
    [[nothing, distortion, "decoder", "decoder", 1.5], [distortion, bound, "latent", "ink", 2]]) {
    context.fillStyle = view.color[band];
    context.globalAlpha = 0.28;
    context.beginPath();
    for (const [x, y] of [...path(upper), ...path(lower).reverse()]) context.lineTo(x, y);
    context.fill();
    context.globalAlpha = 1;
    context.strokeStyle = view.color[edge];
    context.lineWidth = thick;
    line(context, path(upper));
  }
  context.restore();
  const marks = betas.map((mark) => ({ x: sx(mark.at), beta: mark.beta }));
  if (marks.at(-1)?.beta !== beta) marks.push({ x: sx(updates), beta });
  context.font = `12px ${view.font}`;
  context.fillStyle = view.color.ink;
  context.strokeStyle = view.color.muted;
  context.textBaseline = "bottom";
  context.lineWidth = 1;
  context.setLineDash([3, 3]);
  marks.forEach((mark, i) => {
    if (i + 1 < marks.length && marks[i + 1].x - mark.x < 40) return;  // of marks that would overlap, the last
    const late = mark.x > box.right - 44;
    if (mark.x > box.left + 1) line(context, [[mark.x, box.top - 14], [mark.x, box.bottom]]);
    context.textAlign = late ? "right" : "left";
    context.fillText(`\u03b2 = ${mark.beta}`, mark.x + (late ? -4 : 4), box.top - 3);
  });
  context.setLineDash([]);
  plot.describe(terms
    ? `After ${updates} updates: distortion ${fixed(terms.distortion, 1)} and rate ${fixed(terms.rate, 2)} nats a digit`
    : "No updates yet");
}

export default {
  render({ model, el }) {
    const view = new View(el, model), shape = view.get("shape"), pixels = shape[0] * shape[1], side = view.get("side");
    const labels = view.bytes("labels"), count = labels.length, glyphs = view.get("glyphs");
    const shown = Math.min(view.get("codes"), count), examples = view.get("examples");

    // Eight pixels a byte, the first in the highest bit.
    const packed = view.bytes("pictures");
    const pictures = Uint8Array.from({ length: count * pixels }, (_, k) => (packed[k >> 3] >> (7 - (k & 7))) & 1);
    const original = (k) => pictures.subarray(k * pixels, (k + 1) * pixels);
    const many = Float64Array.from(pictures.subarray(0, shown * pixels));
    const few = Float64Array.from(examples.flatMap((k) => [...original(k)]));
    // The points that are decoded, row by row from the top left: quantiles of the prior in both coordinates.
    const quantiles = view.get("quantiles"), rows = [...quantiles].reverse();
    const grid = Float64Array.from(rows.flatMap((y) => quantiles.flatMap((x) => [x, y])));

    let run, seeded;
    function begin(seed) {
      seeded = seed;
      run = makeRun(pictures, {
        pixels, hidden: view.get("hidden"), latent: 2, batch: view.get("batch"), seed,
        rows: Math.max(shown, side * side, examples.length),
      });
    }
    const running = () => view.get("running");
    const pause = () => view.change({ running: false, updates: run.updates });
    // Python hears of the updates; no drawing follows from telling it.
    function tell() {
      view.changing = true;
      model.set("updates", run.updates);
      view.changing = false;
      model.save_changes();
    }
    const loop = makeLoop(view, {
      running, run: () => run, draw: () => view.drawAll(), tell,
      update() {
        run.update(view.get("beta"), view.get("learning_rate"));
        if (run.failed) pause();
      },
    });
    const again = (seed) => { begin(seed); view.change({ seed, running: false, updates: 0 }); };

    // Controls.
    const start = view.button("Start", () => {
      if (running()) return pause();
      spoken = -Infinity;
      view.change({ running: true });
    }, { disabled: () => run.failed });
    start.classList.add("main");
    view.controls.push(() => { start.textContent = running() ? "Pause" : run.updates ? "Go on" : "Start"; });
    const reset = view.button("Reset", () => again(seeded), { label: "Reset to the initial weights" });
    const other = view.button("New seed", () => again(seeded + 1), { label: "New seed: reset to other initial weights" });
    const seedText = h("span", { class: "key" }), tempo = h("span", { class: "number" });
    const listed = (label, key, values, accent) => view.slider({
      label, values, accent, format: () => String(view.get(key)), write: (value) => view.change({ [key]: value }),
      read: () => values.reduce((a, b) => (Math.abs(b - view.get(key)) < Math.abs(a - view.get(key)) ? b : a)),
    });
    const sliders = [
      listed("\u03b2, the weight of the rate", "beta", view.get("betas"), "latent"),
      listed("learning rate", "learning_rate", view.get("learning_rates"), "encoder"),
    ];
    const chips = view.classChips(labels);

    // Pictures, and where everything stands.
    const plane = view.plot({ label: "latent plane", height: (width) => width });
    const terms = view.plot({ label: "terms of the ELBO", height: 210 });
    const gap = 1, tile = side * (shape[0] + gap) - gap;
    const decoded = h("canvas", { class: "picture", role: "img", width: tile, height: tile,
      "aria-label": `Decoded pictures of ${side * side} points of the latent plane` });
    decoded.style.border = "0";
    const strips = ["binary digits x of the training set", "their reconstructions: p(x|z) at the mean of q(z|x)"]
      .map((caption) => view.strip({ caption, shape, count: examples.length }));
    const readings = view.readings(["distortion D", "rate R", "negative ELBO, D + R", "minimized, D + \u03b2R"]);
    readings.table.classList.add("steady");  // longer numbers must not make the chart beside them narrower
    const legend = h("figcaption", {}, `the means of q(z|x) of ${shown} digits `,
      legendKey("posterior", "q(z|x) of the digits below, at 1 standard deviation"), " ",
      legendKey("prior", "the prior p(z), at 1 and 2 standard deviations"));
    for (const key of legend.children) key.style.fontSize = "inherit";
    const placed = `decoded: ${side * side} points, equal shares of the prior, placed as in the plane`;
    view.body.append(
      h("div", { class: "row tight" }, start, reset, other, seedText, tempo),
      h("div", { class: "row" }, sliders.map((slider) => h("div", { class: "grow" }, slider))),
      h("div", { class: "row" },
        h("figure", { class: "grow" }, plane.canvas, legend),
        h("div", { class: "stack grow" }, h("figure", {}, decoded, h("figcaption", {}, placed)),
          chips.group)),
      h("div", { class: "row" },
        h("div", { class: "stack grow" }, terms.canvas,
          h("div", { class: "row tight" }, legendKey("ink", "negative ELBO ="), legendKey("decoder", "distortion D +"),
            legendKey("latent", "rate R"))),
        readings.table),
      ...strips.map((strip) => strip.figure), view.status);

    // The window follows the codes: its half width is a little more than the 98th percentile of their larger coordinate.
    function windowFor(codes) {
      const reach = Float64Array.from({ length: shown }, (_, k) => Math.max(...[0, 1].map((j) => Math.abs(codes[2 * k + j]))));
      const target = Math.max(3.4, 1.12 * reach.sort()[Math.floor(0.98 * (shown - 1))]);
      run.half += (loop.smooth() ? 0.15 : 1) * (target - run.half);
      return run.half;
    }
    function drawPictures(ellipses) {
      const samples = decodeRows(run.vae, grid, side * side);
      for (let k = 0; k < side * side; k++) {
        const at = [(k % side) * (shape[1] + gap), Math.floor(k / side) * (shape[0] + gap)];
        view.paint(decoded, shape, samples.subarray(k * pixels, (k + 1) * pixels), { at });
      }
      const rebuilt = decodeRows(run.vae, ellipses.means, examples.length);
      strips[0].draw((k) => original(examples[k]), { scale: 1 });
      strips[1].draw((k) => rebuilt.subarray(k * pixels, (k + 1) * pixels));
    }
    let spoken = -Infinity;  // when something was last said; while it trains, that is seldom
    function speak(beta, made) {
      if (running() && performance.now() - spoken < 5000) return;
      spoken = performance.now();
      const settings = `\u03b2 = ${beta}, learning rate ${view.get("learning_rate")}`;
      if (run.failed) return view.say("The loss is no longer a finite number: lower the learning rate and reset.");
      if (!run.updates) return view.say(`Untrained; ${settings}. Press Start.`);
      const bound = fixed(run.terms.distortion + run.terms.rate, 1);
      view.say(`${running() ? "Training" : "Paused"} after ${made}, ${settings}: negative ELBO ${bound} nats a digit.`);
    }
    const python = { seed: () => { if (view.get("seed") !== seeded) again(view.get("seed")); }, running: loop.resume };
    for (const [key, listener] of Object.entries(python)) {
      model.on(`change:${key}`, listener);
      view.whenClosed(() => model.off(`change:${key}`, listener));
    }

    begin(view.get("seed"));
    if (running()) model.set("running", false);  // nothing starts before the reader says so
    return view.start(["beta", "learning_rate", "running"], () => {
      const beta = view.get("beta"), made = `${run.updates.toLocaleString("en")} updates`;
      const codes = encodeRows(run.vae, many, shown).means, ellipses = encodeRows(run.vae, few, examples.length);
      drawCodes(view, plane, { half: windowFor(codes), codes, labels, glyphs, ellipses, single: chips.chosen() });
      drawTerms(view, terms, run, beta);
      drawPictures(ellipses);
      seedText.textContent = `seed ${seeded}`;
      tempo.textContent = made + (running() && run.speed ? `, ${Math.round(run.speed)} a second` : "");
      const { distortion: D, rate: R } = run.terms ?? {};
      readings.write(...[D, R, D + R, D + beta * R].map((v, i) => (run.terms ? fixed(v, i === 1 ? 2 : 1) : "\u2013")));
      speak(beta, made);
    });
  },
};
