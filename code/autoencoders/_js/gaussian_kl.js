// Two Gaussians: their densities, and the integrand whose signed area is the Kullback-Leibler divergence.
export default {
  render({ model, el }) {
    const view = new View(el, model), range = [-6, 6], steps = 480;
    const density = (x, [mu, sigma]) => Math.exp(-0.5 * ((x - mu) / sigma) ** 2) / (sigma * Math.sqrt(2 * Math.PI));
    const square = (x, [mu, sigma]) => 0.5 * ((x - mu) / sigma) ** 2;
    const logRatio = (x, a, b) => square(x, b) - square(x, a) + Math.log(b[1] / a[1]);
    const divergence = (a, b) => Math.log(b[1] / a[1]) + (a[1] ** 2 + (a[0] - b[0]) ** 2) / (2 * b[1] ** 2) - 0.5;
    const points = Array.from({ length: steps + 1 }, (_, i) => range[0] + (i * (range[1] - range[0])) / steps);

    const parameters = [["mean \u03bc", -3, 3], ["standard deviation \u03c3", 0.2, 3]];
    const sliders = (name, accent) => parameters.map(([parameter, min, max], i) =>
      view.slider({
        label: `${parameter} of ${name}`, min, max, step: 0.05, accent, format: (v) => fixed(v),
        read: () => view.get(name)[i],
        write: (v) => view.change({ [name]: view.get(name).map((old, j) => (j === i ? v : old)) }),
      }));
    const group = (name, accent) =>
      h("fieldset", { class: "grow" }, h("legend", {}, legendKey(accent, `Gaussian ${name}`)), sliders(name, accent));
    const options = [["p||q", "KL(p \u2016 q)"], ["q||p", "KL(q \u2016 p)"]];
    const readings = view.readings(options.map(([, text]) => text));
    const direction = view.choice({ label: "direction", key: "direction", options, hideLabel: true });
    const upper = view.plot({ label: "densities", height: 190 });
    const lower = view.plot({ label: "integrand", height: 170 });
    const formula = h("span");
    view.body.append(
      h("div", { class: "row" }, group("p", "prior"), group("q", "posterior")),
      upper.canvas,
      h("div", { class: "row center" }, direction, readings.table),
      h("div", { class: "row tight" }, formula, legendKey("encoder", "adds"), legendKey("latent", "subtracts")),
      lower.canvas, view.status);

    // A top that moves in steps, so that the axis does not swim while a slider moves.
    const roof = (value) => {
      const power = 10 ** Math.floor(Math.log10(value));
      return [1, 1.5, 2, 3, 5, 7.5, 10].find((m) => m * power >= value) * power;
    };

    return view.start(["p", "q", "direction"], () => {
      const p = view.get("p"), q = view.get("q"), forward = view.get("direction") === "p||q";
      const [a, b] = forward ? [p, q] : [q, p], [first, second] = forward ? ["p", "q"] : ["q", "p"];
      const peak = roof(1.05 * Math.max(density(p[0], p), density(q[0], q)));
      const drawing = axes(view, upper, { x: { range }, y: { range: [0, peak], label: "density" }, bottom: 22 });
      for (const [gaussian, color] of [[p, "prior"], [q, "posterior"]]) {
        const path = points.map((x) => [drawing.sx(x), drawing.sy(density(x, gaussian))]);
        drawing.context.fillStyle = drawing.context.strokeStyle = view.color[color];
        drawing.context.globalAlpha = 0.16;
        drawing.context.beginPath();
        for (const [x, y] of path) drawing.context.lineTo(x, y);
        drawing.context.fill();
        drawing.context.globalAlpha = 1;
        drawing.context.lineWidth = 2.5;
        line(drawing.context, path);
      }
      const moments = ([mu, sigma]) => `mean ${fixed(mu)} and standard deviation ${fixed(sigma)}`;
      upper.describe(`Densities: p has ${moments(p)}, q has ${moments(q)}`);

      const integrand = points.map((x) => density(x, a) * logRatio(x, a, b));
      const high = roof(Math.max(0.1, 1.05 * Math.max(...integrand))), low = Math.min(...integrand, 0);
      const floor = low < -0.02 * high ? -roof(-1.05 * low) : -0.08 * high;
      const { context, sx, sy } = axes(view, lower, {
        x: { range, label: "x" }, y: { range: [floor, high], label: "integrand" },
      });
      const zero = sy(0);
      for (const [sign, color] of [[1, "encoder"], [-1, "latent"]]) {
        context.fillStyle = view.color[color];
        context.globalAlpha = 0.6;
        context.beginPath();
        context.moveTo(sx(range[0]), zero);
        points.forEach((x, i) => context.lineTo(sx(x), sy(sign * Math.max(0, sign * integrand[i]))));
        context.lineTo(sx(range[1]), zero);
        context.fill();
      }
      context.globalAlpha = 1;
      context.strokeStyle = view.color.ink;
      context.lineWidth = 1.5;
      line(context, points.map((x, i) => [sx(x), sy(integrand[i])]));
      const both = [divergence(p, q), divergence(q, p)];
      readings.write(...both.map((value) => `${fixed(value, 3)} nats`));
      const [now, other] = forward ? both : [both[1], both[0]], shown = fixed(now, 3);
      formula.textContent = `${first}(x) ln(${first}(x)/${second}(x)): its area is KL(${first} \u2016 ${second})`;
      lower.describe(`Integrand of KL(${first} \u2016 ${second}); its signed area is ${shown} nats`);
      view.say(Math.max(...both) < 5e-4 ? "The two Gaussians agree: both divergences are zero."
        : `KL(${first} \u2016 ${second}) = ${shown} nats, ${fixed(now / other, 2)} times the other direction.`);
    });
  },
};
