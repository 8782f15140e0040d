// A picture as the mean plus its first m principal components, added one by one.
export default {
  render({ model, el }) {
    const view = new View(el, model), shape = view.get("shape"), pixels = shape[0] * shape[1] * shape[2];
    const mean = new Float32Array(view.bytes("mean").slice().buffer), images = view.bytes("images");
    const whole = new Int8Array(view.bytes("components").slice().buffer), scales = view.get("scales");
    const most = scales.length, shares = view.get("shares"), count = images.length / pixels;
    const component = (k) => Float32Array.from(whole.subarray(k * pixels, (k + 1) * pixels), (v) => v * scales[k]);
    const components = scales.map((_, k) => component(k));
    const image = (i) => Float32Array.from(images.subarray(i * pixels, (i + 1) * pixels), (v) => v / 255);
    const originals = Array.from({ length: count }, (_, i) => image(i));
    const project = (x, u) => u.reduce((sum, value, j) => sum + value * (x[j] - mean[j]), 0);
    const coefficients = originals.map((x) => components.map((u) => project(x, u)));
    const explained = shares.reduce((all, share) => [...all, all.at(-1) + share], [0]);

    const step = (by) => view.change({ m: clamp(view.get("m") + by, 0, most) });
    const slider = view.slider({ label: "components added, m", key: "m", min: 0, max: most, step: 1, accent: "latent",
      format: (m) => `${m} of ${most}` });
    const square = (text, by, label, end) =>
      view.button(text, () => step(by), { label, square: true, disabled: () => view.get("m") === end });
    const minus = square("\u2212", -1, "remove the last component", 0);
    const plus = square("+", 1, "add the next component", most);
    const original = view.picture({ label: "original", caption: "x", shape, size: 230 });
    const sum = view.picture({ label: "sum", caption: "sum", shape, size: 230 });
    const next = view.picture({ label: "next component", caption: "next", shape, size: 230 });
    const names = ["next coefficient", "error of this picture (MSE)", "variance explained, all pictures"];
    const readings = view.readings(names);
    const curve = view.plot({ label: "variance explained", height: 180 });
    view.body.append(
      view.gallery({ label: "picture x", key: "image", count, shape, paint: (i) => originals[i] }),
      h("div", { class: "line" }, minus, slider, plus),
      h("div", { class: "pictures" }, original.figure, sum.figure, next.figure),
      h("div", { class: "row" }, h("div", { class: "grow" }, curve.canvas),
        h("div", { class: "stack grow" }, readings.table, view.status)));
    const percents = [0, 0.5, 1].map((value) => ({ value, text: `${100 * value} %` }));

    const rebuilt = new Float32Array(pixels), addition = new Float32Array(pixels);
    return view.start(["m", "image"], () => {
      const m = view.get("m"), chosen = view.get("image"), x = originals[chosen], c = coefficients[chosen];
      rebuilt.set(mean);
      for (let k = 0; k < m; k++) for (let j = 0; j < pixels; j++) rebuilt[j] += c[k] * components[k][j];
      let error = 0;
      for (let j = 0; j < pixels; j++) error += (x[j] - rebuilt[j]) ** 2 / pixels;
      original.draw(x);
      original.describe(`the original picture ${chosen + 1}`, "original x");
      sum.draw(rebuilt);
      sum.describe(`the mean plus ${m} components`, m ? `mean + ${m} component${m > 1 ? "s" : ""}` : "mean alone");
      if (m < most) for (let j = 0; j < pixels; j++) addition[j] = c[m] * components[m][j];
      else addition.fill(0);
      next.draw(addition, { signed: true, scale: 4 });
      next.describe(m < most ? `what component ${m + 1} adds: orange more, blue less` : "no component left",
        m < most ? `+ component ${m + 1} (orange adds)` : "no component left");
      const { context, sx, sy } = axes(view, curve, {
        x: { range: [0, most], label: "components m" },
        y: { range: [0, 1], label: "variance explained", ticks: percents }, left: 58,
      });
      context.fillStyle = view.color.codebook;
      const width = Math.max(1, (sx(1) - sx(0)) * 0.7);
      shares.forEach((share, k) => context.fillRect(sx(k + 1) - width / 2, sy(share), width, sy(0) - sy(share)));
      context.strokeStyle = view.color.encoder;
      context.lineWidth = 2;
      line(context, explained.map((value, k) => [sx(k), sy(value)]));
      dot(context, sx(m), sy(explained[m]), 7, view.color.latent, view.color.ink);
      const percent = `${fixed(100 * explained[m], 1)} %`;
      curve.describe(`The first ${m} components explain ${percent} of the variance; bars show the share of each`);
      readings.write(m < most ? fixed(c[m]) : "\u2013", significant(error, 3), percent);
      const own = significant(error, 3);
      view.say(`${m} components: ${percent} of the variance of all pictures, error of this one ${own}.`);
    });
  },
};
