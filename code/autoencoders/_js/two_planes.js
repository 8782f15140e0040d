// Two models' latent planes side by side; each has a point that its decoder paints. Linked, they show the same picture.
export default {
  render({ model, el }) {
    const view = new View(el, model), sides = ["left", "right"], names = view.get("names"), shape = view.get("shape");
    const labels = view.bytes("labels"), classes = view.get("classes"), glyphs = view.get("glyphs");
    const present = classes.map((_, k) => k).filter((k) => labels.includes(k));

    const planes = sides.map((key, which) => {
      const decode = buildNetwork(view.get(`${key}_manifest`), view.bytes(`${key}_weights`));
      const codes = new Float32Array(view.bytes(`${key}_codes`).slice().buffer), range = view.get(`${key}_range`);
      const [[left, right], [bottom, top]] = range;
      const pad = view.pad({
        label: `Latent point of ${names[which]}; the arrow keys move it, with Shift faster`,
        key, height: (width) => width, range: () => range, step: () => (right - left) / 60,
        toValue: (px, py) => [left + (px / pad.width) * (right - left), top - (py / pad.height) * (top - bottom)],
        say: (z) => `z = (${fixed(z[0])}, ${fixed(z[1])})`,
      });
      const picture = view.picture({ label: names[which], shape, size: 130 });
      const toX = (x) => ((x - left) / (right - left)) * pad.width;
      const toY = (y) => ((top - y) / (top - bottom)) * pad.height;
      const nearest = ([x, y]) => {
        let best = 0, least = Infinity;
        for (let i = 0; i < labels.length; i++) {
          const d = (codes[2 * i] - x) ** 2 + (codes[2 * i + 1] - y) ** 2;
          if (d < least) { least = d; best = i; }
        }
        return best;
      };
      return { key, decode, codes, range, pad, picture, toX, toY, nearest };
    });

    // A point that is moved takes the other along, to the code of the training picture that is nearest to it.
    const change = view.change.bind(view);
    view.change = (values) => {
      planes.forEach((from, k) => {
        if (!(from.key in values) || !view.get("linked")) return;
        const to = planes[1 - k], i = from.nearest(values[from.key]);
        values = { ...values, [to.key]: [to.codes[2 * i], to.codes[2 * i + 1]] };
      });
      change(values);
    };

    const still = planes.map(() => document.createElement("canvas")), painted = ["", ""];
    function paintStill({ pad, codes, range, toX, toY }, k) {
      const stamp = [pad.width, pad.scale, view.dark].join();
      if (stamp === painted[k]) return;
      painted[k] = stamp;
      still[k].width = pad.canvas.width;
      still[k].height = pad.canvas.height;
      const context = still[k].getContext("2d");
      context.scale(pad.scale, pad.scale);
      context.strokeStyle = view.color.grid;
      for (const { value } of ticks(range[0])) line(context, [[toX(value), 0], [toX(value), pad.height]]);
      for (const { value } of ticks(range[1])) line(context, [[0, toY(value)], [pad.width, toY(value)]]);
      context.strokeStyle = view.color.line;
      line(context, [[toX(0), 0], [toX(0), pad.height]]);
      line(context, [[0, toY(0)], [pad.width, toY(0)]]);
      context.globalAlpha = 0.75;
      for (let i = 0; i < labels.length; i++) {
        dot(context, toX(codes[2 * i]), toY(codes[2 * i + 1]), 2.2, view.color.classes[labels[i] % 10]);
      }
      context.globalAlpha = 1;
      context.strokeStyle = view.color.ink;
      context.lineWidth = 1.5;
      context.setLineDash([5, 4]);
      for (const r of [1, 2]) {
        context.beginPath();
        context.arc(toX(0), toY(0), toX(r) - toX(0), 0, 2 * Math.PI);
        context.stroke();
      }
      context.setLineDash([]);
      context.fillStyle = view.color.muted;
      context.font = `12px ${view.font}`;
      context.textBaseline = "top";
      for (const { value, text } of ticks(range[0])) if (value) context.fillText(text, toX(value) + 3, toY(0) + 3);
      for (const { value, text } of ticks(range[1])) if (value) context.fillText(text, toX(0) + 3, toY(value) + 3);
      context.strokeStyle = view.color.line;
      context.lineWidth = 1;
      context.strokeRect(0.5, 0.5, pad.width - 1, pad.height - 1);
    }

    const linked = view.choice({
      label: "the two points", key: "linked", options: [[true, "linked: the same picture"], [false, "separate"]],
    });
    const keys = present.map((k) => {
      const mark = h("span", { class: "dot", "aria-hidden": "true" });
      view.controls.push(() => { mark.style.background = view.color.classes[k % 10]; });
      return h("span", { class: "key" }, mark, glyphs[k] === classes[k] ? classes[k] : `${glyphs[k]} ${classes[k]}`);
    });
    const columns = planes.map(({ pad, picture }, k) => {
      const column = h("div", { class: "stack grow" }, h("span", { class: "number" }, names[k]), pad.canvas, picture.figure);
      column.style.flex = "1 1 240px";
      picture.figure.style.maxWidth = "130px";
      return column;
    });
    view.body.append(linked, h("div", { class: "row" }, columns), h("div", { class: "row tight" }, keys), view.status);

    return view.start([...sides, "linked"], () => {
      const said = planes.map((plane, k) => {
        paintStill(plane, k);
        const { pad, picture, decode, toX, toY } = plane, z = view.get(plane.key), context = pad.begin();
        context.drawImage(still[k], 0, 0, pad.width, pad.height);
        context.lineWidth = 2.5;
        dot(context, toX(z[0]), toY(z[1]), 7, view.color.latent, view.color.ink);
        const where = `(${fixed(z[0])}, ${fixed(z[1])})`;
        picture.draw(decode(Float32Array.from(z)));
        picture.describe(`what ${names[k]} decodes at ${where}`, `decoded at ${where}`);
        return `${names[k]} at ${where}, nearest code a ${classes[labels[plane.nearest(z)]]}`;
      });
      view.say(`${said.join("; ")}.`);
    });
  },
};
