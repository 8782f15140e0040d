// A training run over its epochs: losses, reconstructions of fixed pictures, and the codes of fixed test pictures.
export default {
  render({ model, el }) {
    const view = new View(el, model), shape = view.get("shape"), pixels = shape[0] * shape[1] * shape[2];
    const count = view.get("count"), names = view.get("classes"), glyphs = view.get("glyphs"), live = view.get("live");
    const originals = view.bytes("originals"), labels = view.bytes("labels"), nothing = new Uint8Array(pixels);
    const last = () => view.get("epochs").length - 1;
    const frame = () => clamp(view.get("frame"), 0, Math.max(0, last()));

    const slider = view.slider({
      label: "epoch", min: 0, max: Math.max(1, last()), step: 1, accent: "decoder", read: frame,
      write: (value) => { play(false); view.change({ frame: value }); },
      format: (i) => (last() < 0 ? "not started" : `${view.get("epochs")[i]} of ${view.get("total")}`),
    });
    const input = slider.querySelector("input");
    view.controls.unshift(() => { input.max = Math.max(1, last()); });
    let timer = null;
    const button = view.button("Play", () => play(timer === null), { disabled: () => last() < 1 });
    function play(on) {
      clearInterval(timer);
      timer = null;
      button.textContent = on ? "Pause" : "Play";
      if (!on) return;
      if (frame() >= last()) view.change({ frame: 0 });
      timer = setInterval(() => (frame() >= last() ? play(false) : view.change({ frame: frame() + 1 })), 300);
    }
    view.whenClosed(() => clearInterval(timer));

    const strips = ["originals x, from the test set", "reconstructions g(f(x))"]
      .map((caption) => view.strip({ caption, shape, count }));
    const losses = view.plot({ label: "losses", height: 240 });
    const plane = view.plot({ label: "codes", height: 240 });
    const present = names.map((_, k) => k).filter((k) => labels.includes(k));
    const chips = present.map((k) => {
      const mark = h("span", { class: "dot", "aria-hidden": "true" });
      view.controls.push(() => { mark.style.background = view.color.classes[k % 10]; });
      return h("span", { class: "key" }, mark, glyphs[k] === names[k] ? names[k] : `${glyphs[k]} ${names[k]}`);
    });
    view.body.append(
      h("div", { class: "line" }, ...(live ? [] : [button]), slider),
      h("div", { class: "row" },
        h("div", { class: "stack grow" }, losses.canvas,
          h("div", { class: "row tight" }, legendKey("prior", "training"), legendKey("decoder", "validation"))),
        h("div", { class: "stack grow" }, plane.canvas, h("div", { class: "row tight" }, chips))),
      strips[0].figure, strips[1].figure, view.status);

    return view.start(["frame", "epochs", "note"], () => {
      const epochs = view.get("epochs"), i = frame(), started = last() >= 0;
      const train = view.get("train_loss"), validation = view.get("validation_loss"), at = view.get("loss_epochs");
      const known = [...train, ...validation].filter(Number.isFinite);
      const top = Math.max(...known, 1e-3), low = Math.min(...known, top);
      const margin = 0.06 * (top - low || top);
      let { context, sx, sy } = axes(view, losses, {
        x: { range: [0, view.get("total")], label: "epoch" },
        y: { range: [Math.max(0, low - margin), top + margin], label: "loss (nats per picture)" }, left: 56,
      });
      [[train, "prior"], [validation, "decoder"]].forEach(([values, color]) => {
        context.strokeStyle = view.color[color];
        context.lineWidth = 2;
        line(context, values.map((value, k) => [sx(at[k]), sy(value)]));
        const k = at.indexOf(epochs[i]);
        context.lineWidth = 2;
        if (!started || k < 0 || k >= values.length) return;
        dot(context, sx(at[k]), sy(values[k]), 6, view.color[color], view.color.ink);
      });
      const [[left, right], [bottom, height]] = view.get("range");
      ({ context, sx, sy } = axes(view, plane, {
        x: { range: [left, right], label: "z\u2081" }, y: { range: [bottom, height], label: "z\u2082" },
      }));
      strips[0].draw((k) => originals.subarray(k * pixels, (k + 1) * pixels));
      strips[0].describe(`${count} original pictures`);
      if (started) {
        // Codes are stored as bytes, 0 at the lower and 255 at the upper end of the plane's range.
        const n = labels.length, codes = view.bytes("codes").subarray(2 * i * n);
        for (let k = 0; k < n; k++) {
          const x = left + (codes[2 * k] / 255) * (right - left);
          const y = bottom + (codes[2 * k + 1] / 255) * (height - bottom);
          dot(context, sx(x), sy(y), 2.6, view.color.classes[labels[k] % 10]);
        }
        const pictures = view.bytes("reconstructions").subarray(i * count * pixels);
        strips[1].draw((k) => pictures.subarray(k * pixels, (k + 1) * pixels), { scale: 1 / (view.get("levels") - 1) });
        strips[1].describe(`their reconstructions after epoch ${epochs[i]}`);
      } else {
        strips[1].draw(() => nothing);
        strips[1].describe("no reconstructions yet");
      }
      const k = at.indexOf(epochs[i]);
      const number = (values) => (k >= 0 && k < values.length ? fixed(values[k], 1) : "\u2013");
      const summary = `training loss ${number(train)}, validation loss ${number(validation)} nats per picture`;
      losses.describe(started ? `Losses; at epoch ${epochs[i]} ${summary}` : "No losses yet");
      plane.describe(started ? `Codes of ${labels.length} test pictures after epoch ${epochs[i]}` : "No codes yet");
      const text = started ? `Epoch ${epochs[i]}: ${summary}.` : "";
      if (timer === null) view.say([view.get("note"), text].filter(Boolean).join(" "));
    });
  },
};
