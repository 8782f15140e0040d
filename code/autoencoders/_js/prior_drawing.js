// A prior writes a map of codes: what it expects at the next place, what it draws there, and the picture that comes of it.
export default {
  render({ model, el }) {
    const view = new View(el, model), [rows, columns] = view.get("size"), places = rows * columns;
    const shape = view.get("shape"), [height, width, depth] = shape, pixels = height * width * depth;
    const names = view.get("classes"), draws = view.get("draws"), likely = view.get("likely");
    const frames = view.bytes("frames"), patches = view.bytes("patches"), chances = view.bytes("chances");
    const patch = [...view.get("patch"), depth], patchPixels = patch[0] * patch[1] * depth;
    const words = (key) => {
      const raw = view.bytes(key);
      return Uint16Array.from({ length: raw.length / 2 }, (_, i) => raw[2 * i] + 256 * raw[2 * i + 1]);
    };
    const codes = words("codes"), top = words("top"), costs = view.get("costs"), scale = 1 / (view.get("levels") - 1);
    const place = () => clamp(view.get("place"), 0, places), map = () => view.get("label_index") * draws + view.get("draw");
    const where = (i) => `row ${Math.floor(i / columns) + 1}, column ${(i % columns) + 1}`;

    const slider = view.slider({
      label: "codes on the page", min: 0, max: places, step: 1, accent: "codebook", read: place,
      write: (value) => { play(false); view.change({ place: value }); }, format: (i) => `${i} of ${places}`,
    });
    let timer = null;
    const start = view.button("Play", () => play(timer === null));
    const step = view.button("Step", () => { play(false); view.change({ place: (place() + 1) % (places + 1) }); });
    function play(on) {
      clearInterval(timer);
      timer = null;
      start.textContent = on ? "Pause" : "Play";
      if (!on) { if (view.drawAll) view.drawAll(); return; }
      if (place() >= places) view.change({ place: 0 });
      timer = setInterval(() => (place() >= places ? play(false) : view.change({ place: place() + 1 })), 350);
    }
    view.whenClosed(() => clearInterval(timer));

    const numbered = (texts) => texts.map((text, i) => [i, text]);
    const choices = h("div", { class: "row" });
    if (names.length > 1) choices.append(view.choice({ label: "class", key: "label_index", options: numbered(names) }));
    if (draws > 1) {
      const texts = Array.from({ length: draws }, (_, i) => String(i + 1));
      choices.append(view.choice({ label: "draw", key: "draw", options: numbered(texts) }));
    }
    const picture = view.plot({ label: "picture so far", height: (w) => Math.round((w * height) / width) });
    const bars = view.plot({ label: "likeliest codes", height: 34 * likely + 4 });
    const surprise = view.plot({ label: "surprise", height: 150 });
    const small = h("canvas", { width, height }), thumb = h("canvas", { width: patch[1], height: patch[0] });
    const left = h("figure", {}, picture.canvas, h("figcaption", {}, "decoded, with blank paper where nothing is drawn yet"));
    const caption = h("figcaption");
    const right = h("figure", {}, bars.canvas, caption);
    left.style.flex = "1 1 240px";
    left.style.maxWidth = "330px";
    right.style.flex = "1 1 240px";
    view.body.append(choices, h("div", { class: "line" }, start, step, slider), h("div", { class: "row" }, left, right),
      h("figure", {}, surprise.canvas), view.status);

    return view.start(["label_index", "draw", "place"], () => {
      const i = place(), m = map(), shown = Math.min(i, places - 1), cost = costs[m], sum = cost.slice(0, i).reduce((a, b) => a + b, 0);
      view.paint(small, shape, frames.subarray((m * (places + 1) + i) * pixels, (m * (places + 1) + i + 1) * pixels), { scale });
      let context = picture.begin();
      context.imageSmoothingEnabled = false;
      context.drawImage(small, 0, 0, picture.width, picture.height);
      const [w, t] = [picture.width / columns, picture.height / rows];
      context.strokeStyle = view.color.line;
      context.lineWidth = 1;
      context.globalAlpha = 0.6;
      for (let c = 0; c <= columns; c++) line(context, [[c * w, 0], [c * w, picture.height]]);
      for (let r = 0; r <= rows; r++) line(context, [[0, r * t], [picture.width, r * t]]);
      context.globalAlpha = 1;
      context.strokeStyle = view.color.codebook;
      context.lineWidth = 3;
      if (i < places) context.strokeRect((i % columns) * w + 1.5, Math.floor(i / columns) * t + 1.5, w - 3, t - 3);

      const at = m * places + shown, drawn = codes[at];
      context = bars.begin();
      context.font = `13px ${view.font}`;
      context.textBaseline = "middle";
      context.imageSmoothingEnabled = false;
      let rank = 0;
      for (let k = 0; k < likely; k++) {
        const code = top[at * likely + k], p = chances[at * likely + k] / 255, y = 34 * k + 2, taken = code === drawn;
        if (taken) rank = k + 1;
        view.paint(thumb, patch, patches.subarray(code * patchPixels, (code + 1) * patchPixels), { scale });
        context.drawImage(thumb, 4, y, 30, 30);
        context.strokeStyle = taken ? view.color.codebook : view.color.line;
        context.lineWidth = taken ? 3 : 1;
        context.strokeRect(4, y, 30, 30);
        context.fillStyle = taken ? view.color.codebook : view.color.prior;
        context.fillRect(44, y + 6, Math.max(1, p * (bars.width - 140)), 18);
        context.fillStyle = view.color.ink;
        context.textAlign = "left";
        context.fillText(`${fixed(p)}${taken ? "  drawn" : ""}`, 50 + p * (bars.width - 140), y + 16);
      }
      const next = `${i < places ? "next" : "last"} place, ${where(shown)}`;
      const bits = `${fixed(cost[shown], 1)} bits`;
      const taken = rank ? `the draw is number ${rank} of these` : `the draw, code ${drawn}, is not among these`;
      caption.textContent = `${next}: the likeliest codes, as the strokes they paint; ${taken}, ${bits}`;
      bars.describe(`${next}: ${taken}, ${bits}`);
      picture.describe(`class ${names[view.get("label_index")]}, draw ${view.get("draw") + 1}: the picture after ${i} codes`);

      const plot = axes(view, surprise, {
        x: { range: [0, places], label: "place, in reading order", ticks: Array.from({ length: rows + 1 }, (_, r) => (
          { value: r * columns, text: String(r * columns) })) },
        y: { range: [0, Math.max(1, ...cost) * 1.05], label: "surprise, bits" },
      });
      const bar = (plot.sx(1) - plot.sx(0)) * 0.8;
      cost.forEach((value, k) => {
        plot.context.fillStyle = k < i ? view.color.codebook : k === i ? view.color.ink : view.color.hollow;
        plot.context.fillRect(plot.sx(k) + bar / 8, plot.sy(value), bar, plot.sy(0) - plot.sy(value));
      });
      const total = cost.reduce((a, b) => a + b, 0);
      surprise.describe(`Bits that each code of this draw costs, ${fixed(total, 0)} in all`);
      const done = `${i} of ${places} codes, ${fixed(sum, 1)} bits so far.`;
      if (timer === null) view.say(i < places ? `${done} Next: ${where(i)}, ${taken}, ${bits}.` : `${done} The map is complete.`);
    });
  },
};
