// Two posteriors over training, as ellipses on the prior's circles, with the overlap between them and decoded draws.
export default {
  render({ model, el }) {
    const view = new View(el, model), steps = view.get("steps"), last = steps.length - 1, reach = view.get("reach");
    const shape = view.get("shape"), pixels = shape[0] * shape[1] * shape[2], labels = view.bytes("labels");
    const names = view.get("classes"), cloud = view.bytes("cloud"), posteriors = view.get("posteriors");
    const originals = view.bytes("originals"), drawn = view.bytes("drawn"), count = posteriors[0].length;
    const pairs = view.get("pairs"), overlaps = view.get("overlaps"), accents = ["posterior", "encoder"];
    const frame = () => clamp(view.get("frame"), 0, last);
    const kl = ([x, y, s, r]) => 0.5 * (x * x + y * y + s * s + r * r - 2 - 2 * Math.log(s * r));

    const slider = view.slider({
      label: "training step", min: 0, max: last, step: 1, accent: "decoder", read: frame,
      write: (value) => { play(false); view.change({ frame: value }); }, format: (i) => String(steps[i]),
    });
    let timer = null;
    const button = view.button("Play", () => play(timer === null), { disabled: () => last < 1 });
    function play(on) {
      clearInterval(timer);
      timer = null;
      button.textContent = on ? "Pause" : "Play";
      if (!on) return;
      if (frame() >= last) view.change({ frame: 0 });
      timer = setInterval(() => (frame() >= last ? play(false) : view.change({ frame: frame() + 1 })), 400);
    }
    view.whenClosed(() => clearInterval(timer));

    const choice = view.choice({
      label: "pair", key: "pair", options: Object.keys(pairs).map((name) => [name, name]), hideLabel: true,
    });
    const plane = view.plot({ label: "latent plane", height: (width) => width });
    const curve = view.plot({ label: "overlap", height: 170 });
    const pictures = accents.map(() => ["x", "a draw, decoded"].map((caption) =>
      view.picture({ label: caption, caption, shape, size: 92 })));
    const rows = pictures.map((pair) => h("div", { class: "pictures" }, pair.map((picture) => picture.figure)));
    const readings = view.readings(["overlap", "rate of the first", "rate of the second"]);
    const wide = h("div", { class: "stack grow" }, plane.canvas, h("div", { class: "row tight" },
      legendKey("posterior", "q of the first"), legendKey("encoder", "q of the second"), legendKey("prior", "prior")));
    const side = h("div", { class: "stack" }, rows, readings.table);
    wide.style.flex = "1 1 300px";
    side.style.flex = "1 1 210px";
    view.body.append(choice, h("div", { class: "line" }, button, slider), h("div", { class: "row" }, wide, side),
      curve.canvas, view.status);

    return view.start(["frame", "pair"], () => {
      const i = frame(), name = view.get("pair"), pair = pairs[name], overlap = overlaps[name];
      const range = [-reach, reach];
      let { context, sx, sy } = axes(view, plane, { x: { range, label: "z\u2081" }, y: { range, label: "z\u2082" } });
      const ellipse = (x, y, s, r, k) => {
        context.beginPath();
        context.ellipse(sx(x), sy(y), k * (sx(s) - sx(0)), k * (sy(0) - sy(r)), 0, 0, 2 * Math.PI);
      };
      context.strokeStyle = view.color.prior;
      context.lineWidth = 1.5;
      context.setLineDash([5, 4]);
      for (const k of [1, 2]) { ellipse(0, 0, 1, 1, k); context.stroke(); }
      context.setLineDash([]);
      context.globalAlpha = 0.55;
      for (let k = 0, o = 2 * i * labels.length; k < labels.length; k++, o += 2) {
        const [x, y] = [cloud[o], cloud[o + 1]].map((byte) => (byte / 255 - 0.5) * 2 * reach);
        dot(context, sx(x), sy(y), 2.2, view.color.classes[labels[k] % 10]);
      }
      pair.forEach((index, k) => {
        const [x, y, s, r] = posteriors[i][index];
        context.fillStyle = context.strokeStyle = view.color[accents[k]];
        context.lineWidth = 2.5;
        for (const width of [2, 1]) {
          ellipse(x, y, s, r, width);
          context.globalAlpha = 0.16;
          context.fill();
          context.globalAlpha = width === 1 ? 1 : 0.6;
          context.stroke();
        }
        context.globalAlpha = 1;
        dot(context, sx(x), sy(y), 4, view.color[accents[k]], view.color.ink);
        const [original, draw] = pictures[k], digit = names[labels[index]];
        original.draw(originals.subarray(index * pixels, (index + 1) * pixels));
        original.describe(`picture ${k + 1}, class ${digit}`, `x, ${k ? "second" : "first"}`);
        const at = (i * count + index) * pixels;
        draw.draw(drawn.subarray(at, at + pixels), { scale: 1 / (view.get("levels") - 1) });
        draw.describe(`what a draw from its posterior is decoded to at step ${steps[i]}`);
      });
      const rates = pair.map((index) => fixed(kl(posteriors[i][index]), 1));
      readings.write(fixed(overlap[i]), ...rates.map((rate) => `${rate} nats`));
      plane.describe(`Latent plane at step ${steps[i]}: ${name}, overlap ${fixed(overlap[i])}`);

      const every = Math.ceil(last / (curve.width < 400 ? 4 : 8));
      const marks = steps.map((step, k) => ({ value: k, text: String(step) })).filter(({ value }) => value % every === 0);
      ({ context, sx, sy } = axes(view, curve, {
        x: { range: [0, last || 1], label: "training step (not to scale)", ticks: marks },
        y: { range: [0, 1], label: "overlap" }, right: 22,
      }));
      context.strokeStyle = view.color.ink;
      context.lineWidth = 2;
      line(context, overlap.map((value, k) => [sx(k), sy(value)]));
      dot(context, sx(i), sy(overlap[i]), 6, view.color.latent, view.color.ink);
      curve.describe(`Overlap of the two posteriors against the training step, ${fixed(overlap[i])} at step ${steps[i]}`);
      const text = `Step ${steps[i]}: the posteriors of ${name} overlap by ${fixed(overlap[i])}; their rates are `
        + `${rates[0]} and ${rates[1]} nats.`;
      if (timer === null) view.say(text);
    });
  },
};
