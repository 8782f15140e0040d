// The latent plane of an autoencoder: training codes, the regions without any, and a point decoded as it is dragged.
export default {
  render({ model, el }) {
    const view = new View(el, model);
    const decode = buildNetwork(view.get("manifest"), view.bytes("weights"));
    const codes = new Float32Array(view.bytes("codes").slice().buffer), count = codes.length / 2;
    const labels = view.bytes("labels"), names = view.get("classes"), glyphs = view.get("glyphs");
    const shape = view.get("shape"), reach = view.get("reach"), range = view.get("range");
    const stored = view.bytes("thumbnails"), levels = view.get("levels"), pixels = shape[0] * shape[1] * shape[2];
    const present = names.map((_, k) => k).filter((k) => labels.includes(k));
    const chips = view.classChips(labels);

    function nearest([x, y]) {
      let best = 0, least = Infinity;
      for (let i = 0; i < count; i++) {
        const dx = codes[2 * i] - x, dy = codes[2 * i + 1] - y, d = dx * dx + dy * dy;
        if (d < least) { least = d; best = i; }
      }
      return { index: best, distance: Math.sqrt(least) };
    }

    const thumbnail = (index) => stored.subarray(index * pixels, (index + 1) * pixels);

    const [[left, right], [bottom, top]] = range;
    const plane = view.pad({
      label: "Latent point z; the arrow keys move it, with Shift faster",
      key: "z", height: (width) => width, range: () => range, step: () => (right - left) / 60,
      toValue: (px, py) => [left + (px / plane.width) * (right - left), top - (py / plane.height) * (top - bottom)],
      say: (z) => `z = (${fixed(z[0])}, ${fixed(z[1])})`,
    });
    const toX = (x) => ((x - left) / (right - left)) * plane.width;
    const toY = (y) => ((top - y) / (top - bottom)) * plane.height;

    // Everything that does not move is painted once for each size, theme and singled-out class.
    const still = document.createElement("canvas");
    let painted = "";
    function paintStill() {
      const chosen = chips.chosen(), stamp = [plane.width, plane.scale, view.dark, chosen].join();
      if (stamp === painted) return;
      painted = stamp;
      still.width = plane.canvas.width;
      still.height = plane.canvas.height;
      const context = still.getContext("2d"), cell = 4;
      context.scale(plane.scale, plane.scale);
      context.fillStyle = view.color.hollow;
      for (let py = 0; py < plane.height; py += cell) for (let px = 0; px < plane.width; px += cell) {
        const x = left + ((px + cell / 2) / plane.width) * (right - left);
        const y = top - ((py + cell / 2) / plane.height) * (top - bottom);
        if (nearest([x, y]).distance > reach) context.fillRect(px, py, cell, cell);
      }
      for (let i = 0; i < count; i++) {
        const faint = chosen !== null && labels[i] !== chosen;
        context.globalAlpha = faint ? 0.12 : 0.75;
        dot(context, toX(codes[2 * i]), toY(codes[2 * i + 1]), 2.4, view.color.classes[labels[i] % 10]);
      }
      context.globalAlpha = 1;
      context.font = `600 12px ${view.font}`;
      context.textAlign = "center";
      context.textBaseline = "middle";
      context.lineWidth = 2;
      for (const k of present) {
        if (chosen !== null && chosen !== k) continue;
        const middle = (axis) => {
          const values = [];
          for (let i = 0; i < count; i++) if (labels[i] === k) values.push(codes[2 * i + axis]);
          return values.sort((a, b) => a - b)[values.length >> 1];
        };
        const px = clamp(toX(middle(0)), 12, plane.width - 12), py = clamp(toY(middle(1)), 12, plane.height - 12);
        dot(context, px, py, 9.5, view.color.paper, view.color.classes[k % 10]);
        context.fillStyle = view.color.ink;
        context.fillText(glyphs[k], px, py + 0.5);
      }
      context.strokeStyle = view.color.line;
      context.lineWidth = 1;
      context.strokeRect(0.5, 0.5, plane.width - 1, plane.height - 1);
    }

    const decoded = view.picture({ label: "decoded", caption: "decoded g(z)", shape, size: 150 });
    const closest = view.picture({ label: "nearest", caption: "nearest training picture", shape, size: 150 });
    const pictures = [decoded.figure, ...(stored.length ? [closest.figure] : [])];
    const readings = view.readings(["z", "distance to the nearest code"]);
    const shaded = h("span", { class: "dot", "aria-hidden": "true" });
    Object.assign(shaded.style, { background: "var(--hollow)", borderRadius: "3px", border: "1px solid var(--muted)" });
    const wide = h("div", { class: "stack grow" }, plane.canvas,
      h("span", { class: "key" }, shaded, `empty: no training code within ${significant(reach)}`));
    wide.style.flex = "1 1 300px";
    const side = h("div", { class: "stack" }, h("div", { class: "pictures" }, pictures), readings.table,
      chips.group, view.status);
    side.style.flex = "1 1 250px";
    view.body.append(h("div", { class: "row" }, wide, side));

    return view.start(["z"], () => {
      const z = view.get("z"), picture = decode(Float32Array.from(z)), { index, distance } = nearest(z);
      const empty = distance > reach;
      paintStill();
      const context = plane.begin();
      context.drawImage(still, 0, 0, plane.width, plane.height);
      const px = toX(z[0]), py = toY(z[1]);
      context.strokeStyle = view.color.ink;
      context.lineWidth = 1.5;
      line(context, [[px, py], [toX(codes[2 * index]), toY(codes[2 * index + 1])]]);
      context.lineWidth = 2.5;
      dot(context, px, py, 7, view.color.latent, view.color.ink);
      decoded.draw(picture);
      const where = `z = (${fixed(z[0])}, ${fixed(z[1])})`, name = names[labels[index]];
      decoded.describe(`the picture decoded at ${where}`);
      if (stored.length) {
        closest.draw(thumbnail(index), { scale: 1 / (levels - 1) });
        closest.describe(`the training picture whose code is nearest, class ${name}`, `nearest training code: ${name}`);
      }
      readings.write(`(${fixed(z[0])}, ${fixed(z[1])})`, significant(distance));
      view.say(empty
        ? `An empty region: the nearest training code, class ${name}, is ${significant(distance)} away.`
        : `Among the training codes: the nearest is of class ${name}, ${significant(distance)} away.`);
    });
  },
};
