// Codes on two latents, turned by an angle, and the scores of the model at every angle.
export default {
  render({ model, el }) {
    const view = new View(el, model), angles = view.get("angles"), names = view.get("names"), scores = view.get("scores");
    const bytes = view.bytes("codes"), limit = view.get("limit"), factors = view.get("factors");
    const codes = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
    const shades = view.bytes("shades"), count = codes.length / 2;
    const COLOR = ["prior", "posterior", "encoder", "decoder", "codebook"];

    const plane = view.plot({ label: "codes", height: (width) => Math.min(width, 340) });
    const curves = scores.map((_, k) => view.plot({ label: names[k], height: 96 }));
    const readings = view.readings(names);
    const slider = view.slider({ label: "turned by", key: "angle", values: angles, accent: "latent",
      format: (value) => `${fixed(value, 0)} degrees` });
    const ramp = h("span", { "aria-hidden": "true" });
    Object.assign(ramp.style, { width: "90px", height: "10px", borderRadius: "3px" });
    const key = h("span", { class: "key" }, "low", ramp, "high");
    const left = h("div", { class: "stack grow" }, plane.canvas,
      h("div", { class: "row tight" }, view.choice({ label: "colored by", key: "factor",
        options: factors.map((name) => [name, name]) }), key));
    left.style.flex = "1 1 300px";
    const right = h("div", { class: "stack grow" }, slider, curves.map((plot) => plot.canvas), readings.table, view.status);
    view.body.append(h("div", { class: "row" }, left, right));

    return view.start(["angle", "factor"], () => {
      const angle = view.get("angle"), at = angles.indexOf(angle), f = factors.indexOf(view.get("factor"));
      const radians = (angle * Math.PI) / 180, cos = Math.cos(radians), sin = Math.sin(radians);
      const [low, high] = [view.color.encoder, view.color.latent].map(channels);
      ramp.style.background = `linear-gradient(to right, ${view.color.encoder}, ${view.color.latent})`;
      const square = axes(view, plane, {
        x: { range: [-limit, limit], label: "first turned latent" },
        y: { range: [-limit, limit], label: "second turned latent" },
      });
      for (let i = 0; i < count; i++) {
        const [a, b] = [codes[2 * i], codes[2 * i + 1]], part = shades[f * count + i] / 255;
        const color = low.map((value, c) => Math.round(value + (high[c] - value) * part));
        dot(square.context, square.sx(cos * a - sin * b), square.sy(sin * a + cos * b), 3, `rgb(${color.join(",")})`);
      }
      plane.describe(`${count} codes turned by ${fixed(angle, 0)} degrees, colored by ${factors[f]}`);
      curves.forEach((plot, k) => {
        const [least, most] = [Math.min(...scores[k]), Math.max(...scores[k])], near = most - least < 1e-3 * Math.abs(most);
        const pad = near ? Math.max(1, 0.02 * Math.abs(most)) : 0.12 * (most - least);
        const { context, sx, sy } = axes(view, plot, {
          x: { range: [angles[0], angles.at(-1)] }, y: { range: [least - pad, most + pad] }, bottom: 20, top: 20,
        });
        context.fillStyle = view.color.ink;
        context.textAlign = "left";
        context.textBaseline = "top";
        context.fillText(names[k], 48, 1);
        context.strokeStyle = view.color[COLOR[k % COLOR.length]];
        context.lineWidth = 2.5;
        line(context, angles.map((value, i) => [sx(value), sy(scores[k][i])]));
        dot(context, sx(angle), sy(scores[k][at]), 6, view.color.latent, view.color.ink);
        plot.describe(`${names[k]}: ${significant(scores[k][at], 3)} at ${fixed(angle, 0)} degrees`);
      });
      const digits = (value) => (Math.abs(value) < 10 ? fixed(value, 2) : fixed(value, 1));
      readings.write(...scores.map((values) => digits(values[at])));
      view.say(`Turned by ${fixed(angle, 0)} degrees: ${names.map((name, k) => `${name} ${digits(scores[k][at])}`).join(", ")}.`);
    });
  },
};
