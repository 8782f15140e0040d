// Dictionaries learned under several sparsity weights, and how many units a picture then uses.
export default {
  render({ model, el }) {
    const view = new View(el, model), lambdas = view.get("lambdas"), shape = view.get("shape");
    const pixels = shape[0] * shape[1] * shape[2], count = view.get("count"), units = view.get("units");
    const features = new Int8Array(view.bytes("features").slice().buffer);
    const [histograms, bins, means, errors] = ["histograms", "bins", "means", "errors"].map((name) => view.get(name));
    const grid = h("canvas", { class: "picture", role: "img" });
    grid.style.border = "0";
    const histogram = view.plot({ label: "active units", height: 190 });
    const trade = view.plot({ label: "trade", height: 190 });
    const caption = h("figcaption");
    view.body.append(
      view.slider({ label: "sparsity weight \u03bb", key: "index", values: lambdas.map((_, i) => i), accent: "codebook",
        format: (i) => `\u03bb = ${significant(lambdas[i], 2)}` }),
      h("figure", {}, grid, caption),
      h("div", { class: "row" }, [histogram, trade].map((plot) => h("div", { class: "grow" }, plot.canvas))),
      view.status);
    const tallest = 1.08 * Math.max(...histograms.flat());
    const xs = [0, 1.05 * Math.max(...means)], ys = [0, 1.1 * Math.max(...errors)];

    return view.start(["index"], () => {
      const index = view.get("index"), used = fixed(means[index], means[index] < 10 ? 1 : 0);
      const columns = view.root.clientWidth < 520 ? 8 : 16, wide = columns * (shape[1] + 1) - 1;
      if (grid.width !== wide) {
        grid.width = wide;
        grid.height = Math.ceil(count / columns) * (shape[0] + 1) - 1;
      }
      for (let k = 0; k < count; k++) {
        const values = features.subarray((index * count + k) * pixels, (index * count + k + 1) * pixels);
        const at = [(k % columns) * (shape[1] + 1), Math.floor(k / columns) * (shape[0] + 1)];
        view.paint(grid, shape, values, { signed: true, scale: 1 / view.get("steps"), at });
      }
      const name = `\u03bb = ${significant(lambdas[index], 2)}`;
      grid.setAttribute("aria-label", `${count} dictionary features learned with ${name}; orange adds, blue removes`);
      caption.textContent = `${count} of ${units} features (orange adds, blue removes)`;
      let { context, sx, sy } = axes(view, histogram, {
        x: { range: [bins[0], bins.at(-1)], label: "active units in a picture" },
        y: { range: [0, tallest], label: "share of pictures" },
      });
      context.fillStyle = view.color.codebook;
      histograms[index].forEach((share, i) => {
        const [from, to] = [sx(bins[i]), sx(bins[i + 1])];
        context.fillRect(from + 0.5, sy(share), Math.max(1, to - from - 1), sy(0) - sy(share));
      });
      context.strokeStyle = view.color.ink;
      context.setLineDash([4, 3]);
      line(context, [[sx(means[index]), sy(0)], [sx(means[index]), sy(tallest)]]);
      context.setLineDash([]);
      histogram.describe(`Histogram of active units: on average ${used} of ${units}`);
      ({ context, sx, sy } = axes(view, trade, {
        x: { range: xs, label: "mean active units" }, y: { range: ys, label: "test MSE" }, left: 56,
      }));
      context.strokeStyle = view.color.decoder;
      context.lineWidth = 2;
      line(context, means.map((mean, i) => [sx(mean), sy(errors[i])]));
      means.forEach((mean, i) => dot(context, sx(mean), sy(errors[i]), 3.5, view.color.decoder));
      dot(context, sx(means[index]), sy(errors[index]), 7, view.color.latent, view.color.ink);
      trade.describe(`At ${name} a picture uses ${used} units and the error is ${significant(errors[index], 3)}`);
      const error = significant(errors[index], 3);
      view.say(`${name}: a picture uses ${used} of ${units} units on average; mean squared error ${error}.`);
    });
  },
};
