// A metric of disentanglement as a game: pairs of pictures agree in one hidden factor; from the mean differences of their
// codes the reader says in which. Rounds whose answer is known stand below, as the training set does for the classifier.
export default {
  render({ model, el }) {
    const view = new View(el, model), names = view.get("names"), kinds = view.get("codes"), latents = view.get("latents");
    const stored = view.bytes("values"), values = new Float32Array(stored.slice().buffer), factors = view.bytes("factors");
    const n = factors.length / names.length, known = 5, spans = view.get("spans");
    const value = (k, i) => factors[k * n + i];
    const groups = names.map((_, k) => {  // the pictures of each value of each factor
      const found = new Map();
      for (let i = 0; i < n; i++) found.set(value(k, i), [...(found.get(value(k, i)) ?? []), i]);
      return found;
    });

    // Mean |z - z'| of pairs that agree in factor k, in units of what unrelated pairs differ by.
    const differences = (code, k, pairs, random) => {
      const sum = new Float64Array(latents);
      for (let pair = 0; pair < pairs; pair++) {
        const a = Math.floor(n * random.uniform()), same = groups[k].get(value(k, a));
        const b = same[Math.floor(same.length * random.uniform())];
        for (let j = 0; j < latents; j++) {
          sum[j] += Math.abs(values[(code * n + a) * latents + j] - values[(code * n + b) * latents + j]);
        }
      }
      return [...sum].map((total, j) => (spans[code][j] > 0 ? total / pairs / spans[code][j] : 0));
    };
    const stream = (round) => (round * 8 + view.get("code")) * 128 + view.get("pairs");
    const current = () => {
      const random = randomNumbers(view.get("seed"), stream(view.get("round")));
      const k = Math.floor(names.length * random.uniform());
      return { k, bars: differences(view.get("code"), k, view.get("pairs"), random) };
    };
    const examples = () => names.map((_, k) => {
      const random = randomNumbers(view.get("seed") + 1, stream(k));
      const rounds = Array.from({ length: known }, () => differences(view.get("code"), k, view.get("pairs"), random));
      return rounds[0].map((_, j) => rounds.reduce((sum, bars) => sum + bars[j], 0) / known);
    });
    const nearest = (bars, among) => {
      const far = among.map((other) => other.reduce((sum, height, j) => sum + (height - bars[j]) ** 2, 0));
      return far.indexOf(Math.min(...far));
    };

    const anew = (changes) => view.change({ ...changes, round: view.get("round") + 1, guess: -1 });
    const guess = (k) => {
      if (view.get("guess") >= 0) return;
      const { k: truth, bars } = current(), code = view.get("code");
      const score = view.get("score").map((row) => [...row]);
      score[code] = score[code].map((count, i) => count + [k === truth, true, nearest(bars, examples()) === truth][i]);
      view.change({ guess: k, score });
      next.focus({ preventScroll: true });
    };
    const plot = view.plot({ label: "differences", height: 190 });
    const training = view.plot({ label: "rounds with known answer", height: (width) => (width < 480 ? 120 : 132) });
    const guesses = names.map((name, k) => view.button(name, () => guess(k), { label: `the pairs share ${name}` }));
    const next = view.button("Next round", () => {
      anew({});
      guesses[0].focus({ preventScroll: true });
    }, { disabled: () => view.get("guess") < 0 });
    next.classList.add("main");
    const readings = view.readings(["you", "nearest example", "a blind guess"]);
    const caption = h("figcaption", {}, `For comparison: the mean of ${known} rounds in which the shared factor is known`);
    view.body.append(
      view.choice({ label: "code", key: "code", options: kinds.map((name, i) => [i, name]), write: (code) => anew({ code }) }),
      view.slider({ label: "pairs in a round", key: "pairs", values: view.get("counts"), accent: "latent",
        write: (pairs) => anew({ pairs }) }),
      h("figure", {}, plot.canvas),
      h("div", { class: "line" }, h("fieldset", {}, h("legend", {}, "which factor do the pairs share?"),
        h("div", { class: "options" }, guesses))),
      h("div", {}, next),
      h("figure", {}, training.canvas, caption),
      readings.table, view.status);

    const paintBars = (context, bars, { left, right, floor, unit }) => {
      const step = (right - left) / latents, wide = Math.min(44, 0.7 * step);
      context.fillStyle = view.color.latent;
      bars.forEach((height, j) => {
        context.fillRect(left + (j + 0.5) * step - wide / 2, floor - unit * height, wide, Math.max(1, unit * height));
      });
      context.strokeStyle = view.color.muted;
      context.lineWidth = 1;
      context.setLineDash([4, 3]);
      line(context, [[left, floor - unit], [right, floor - unit]]);
      context.setLineDash([]);
    };
    const spoken = (bars) => bars.map((height, j) => `latent ${j + 1}: ${fixed(height)}`).join(", ");

    return view.start(["code", "pairs", "round", "guess", "score", "seed"], () => {
      const { k, bars } = current(), among = examples(), code = view.get("code"), chosen = view.get("guess");
      const highest = Math.max(1.25, ...bars, ...among.flat()) * 1.04;
      const { context, sx, sy, box } = axes(view, plot, {
        x: { range: [0.5, latents + 0.5], label: "latent",
          ticks: bars.map((_, j) => ({ value: j + 1, text: String(j + 1) })) },
        y: { range: [0, highest], label: "mean |z \u2212 z\u2032|" },
      });
      const unit = sy(0) - sy(1);
      paintBars(context, bars, { left: sx(0.5), right: sx(latents + 0.5), floor: box.bottom, unit });
      plot.describe(`Mean differences of the codes of pairs that share a hidden factor. ${spoken(bars)}`);

      const small = training.begin(), width = training.width / names.length, floor = training.height - 24;
      small.font = `13px ${view.font}`;
      small.textAlign = "center";
      small.textBaseline = "top";
      among.forEach((means, i) => {
        paintBars(small, means, { left: i * width + 10, right: (i + 1) * width - 10, floor, unit: (floor - 8) / highest });
        small.strokeStyle = view.color.line;
        line(small, [[i * width + 10, floor], [(i + 1) * width - 10, floor]]);
        small.fillStyle = view.color.ink;
        small.fillText(names[i], (i + 0.5) * width, floor + 5);
        if (chosen >= 0 && i === k) {
          small.strokeStyle = view.color.ink;
          small.lineWidth = 2;
          small.strokeRect(i * width + 3, 1, width - 6, training.height - 2);
        }
      });
      training.describe(among.map((means, i) => `Pairs that share ${names[i]}: ${spoken(means)}`).join(". "));

      const [right, played, machine] = view.get("score")[code];
      const share = (count) => `${count} of ${played}`;
      readings.write(share(right), share(machine), `1 in ${names.length}`);
      guesses.forEach((button, i) => {
        button.setAttribute("aria-disabled", chosen >= 0);
        button.style.borderColor = chosen >= 0 && i === k ? "var(--ink)" : "";
      });
      const asked = `Code: ${kinds[code]}; ${view.get("pairs")} pairs. `;
      view.say(chosen < 0 ? `${asked}Round ${view.get("round") + 1}: which factor do they share?`
        : chosen === k ? `${asked}Right: the pairs share ${names[k]}.`
          : `${asked}No: the pairs share ${names[k]}, not ${names[chosen]}.`);
    });
  },
};
