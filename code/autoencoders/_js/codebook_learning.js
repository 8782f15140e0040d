// Points in the plane and the codes that stand for them, moved by Lloyd's two steps or batch by batch, or dragged.
export default {
  render({ model, el }) {
    const view = new View(el, model), points = view.get("points"), range = view.get("range"), starts = view.get("starts");
    const [[left, right], [bottom, top]] = range, size = starts.well.length, batch = view.get("batch");
    const codes = () => view.get("codes"), held = () => view.get("code"), color = (k) => view.color.classes[k % 10];
    const square = (a, b) => (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2;
    const nearest = (z, all) => all.reduce((best, e, k) => (square(z, e) < square(z, all[best]) ? k : best), 0);

    // What Python does not need to know: who belongs to which code, what a batch rule remembers, and the curve so far.
    let assigned, counts, sums, next, at, curve, dragged;
    const assign = (all) => { assigned = points.map((z) => nearest(z, all)); };
    const distortion = (all) => points.reduce((sum, z, i) => sum + square(z, all[assigned[i]]), 0) / points.length;
    const note = (all) => { curve.push(distortion(all)); };
    const remember = (k, e) => { counts[k] = 1; sums[k] = [...e]; };
    function reset(all) {
      [next, curve, dragged] = [view.get("rule") === "lloyd" ? 1 : 0, [], false];
      [counts, sums] = [Array(size).fill(1), all.map((e) => [...e])];
      assign(all);
      note(all);
    }
    function totals(chosen, some) {
      const n = Array(size).fill(0), s = Array.from({ length: size }, () => [0, 0]);
      some.forEach((z, i) => { n[chosen[i]]++; s[chosen[i]][0] += z[0]; s[chosen[i]][1] += z[1]; });
      return [n, s];
    }

    const rules = {
      lloyd(all) {  // by turns: every point to its nearest code, every code to the mean of its points
        if (next === 0) { assign(all); next = 1; return all; }
        const [n, s] = totals(assigned, points);
        next = 0;
        return all.map((e, k) => (n[k] ? [s[k][0] / n[k], s[k][1] / n[k]] : e));
      },
      average: (all) => byBatch(all, (e, n, s, k) => {
        const decay = view.get("decay");
        counts[k] = decay * counts[k] + (1 - decay) * n;
        sums[k] = sums[k].map((value, j) => decay * value + (1 - decay) * s[j]);
        return n ? sums[k].map((value) => value / counts[k]) : e;
      }),
      gradient: (all) => byBatch(all, (e, n, s) => e.map((value, j) => (
        value - (2 * view.get("rate") * (n * value - s[j])) / batch))),
    };
    function byBatch(all, rule) {
      const some = Array.from({ length: batch }, (_, i) => points[(next * batch + i) % points.length]);
      const [n, s] = totals(some.map((z) => nearest(z, all)), some), moved = all.map((e, k) => rule(e, n[k], s[k], k));
      next++;
      assign(moved);
      return moved;
    }
    function step(times) {
      let all = codes();
      dragged = false;
      for (let i = 0; i < times; i++) {
        const before = curve.slice(-2);
        all = rules[view.get("rule")](all);
        note(all);
        const still = before.length === 2 && before.every((value) => value - curve.at(-1) < 1e-12);
        if (view.get("rule") === "lloyd" && times > 1 && still) break;
      }
      show({ codes: all });
    }
    const quietly = (values) => {  // set what is drawn anyway
      view.changing = true;
      for (const [key, value] of Object.entries(values)) model.set(key, value);
      view.changing = false;
    };
    const show = (values) => view.change({ ...values, at: at = (values.codes ?? codes())[values.code ?? held()] });
    const restart = () => {
      const all = starts[view.get("start")].map((e) => [...e]);
      reset(all);
      show({ codes: all });
    };

    const toPixel = ([x, y]) => [scales.sx(x), scales.sy(y)];
    let scales = { sx: () => 0, sy: () => 0, inverse: () => [left, bottom] };
    const plane = view.pad({
      label: "Points, codes and their cells; the arrow keys move the code that is held, with Shift faster", key: "at",
      height: (width) => Math.min(420, 0.95 * width), range: () => range, step: () => 0.02 * (right - left),
      toValue: (px, py) => scales.inverse(px, py), say: ([x, y]) => `code ${held() + 1} at ${fixed(x)}, ${fixed(y)}`,
    });
    const wide = h("div", { class: "stack grow" }, plane.canvas);
    wide.style.flex = "1 1 330px";
    // A press near a code takes hold of it, before the plane moves what is held.
    view.listen(plane.canvas.parentNode, "pointerdown", (event) => {
      if (event.target !== plane.canvas) return;
      const box = plane.canvas.getBoundingClientRect(), here = [event.clientX - box.left, event.clientY - box.top];
      const pixels = codes().map(toPixel), k = nearest(here, pixels);
      if (square(here, pixels[k]) < 26 ** 2) quietly({ code: k, at: at = codes()[k] });
    }, { capture: true });

    const rule = view.choice({ label: "what moves the codes", key: "rule",
      options: [["lloyd", "Lloyd"], ["average", "moving average"], ["gradient", "gradient"]] });
    const start = view.choice({ label: "start", key: "start", options: [["well", "spread out"], ["badly", "in a corner"]] });
    view.listen(rule, "change", () => { reset(codes()); view.drawAll(); });
    view.listen(start, "change", () => restart());
    const one = view.button("", () => step(1)), many = view.button("", () => step(view.get("rule") === "lloyd" ? 200 : 50));
    view.controls.push(() => {
      const lloyd = view.get("rule") === "lloyd";
      one.textContent = !lloyd ? "One batch" : next === 0 ? "Assign" : "Move";
      many.textContent = lloyd ? "Until it stops" : "50 batches";
    });
    const chips = starts.well.map((_, k) => {
      const mark = h("span", { class: "dot", "aria-hidden": "true" }), text = h("span");
      const chip = h("button", { type: "button", class: "chip" }, mark, text);
      view.listen(chip, "click", () => { dragged = false; show({ code: k }); });
      view.controls.push(() => {
        const share = assigned.filter((s) => s === k).length;
        mark.style.background = color(k);
        text.textContent = `${k + 1}: ${share}`;
        chip.setAttribute("aria-label", `hold code ${k + 1}, chosen for ${share} points`);
        chip.setAttribute("aria-pressed", k === held());
      });
      return chip;
    });
    const readings = view.readings(["steps", "distortion", "perplexity", "unused codes"]);
    const plot = view.plot({ label: "Distortion against steps", height: 130 });
    const buttons = h("div", { class: "row tight" }, one, many, view.button("Start over", () => restart()));
    const side = h("div", { class: "stack grow" }, rule, start, buttons, readings.table, plot.canvas,
      h("div", { class: "options", role: "group", "aria-label": "codes, and how many points each has" }, chips), view.status);
    view.body.append(h("div", { class: "row" }, wide, side));

    // The cell of a code: the frame, cut by the half-plane that is nearer to it than to each other code.
    function cell(k, all) {
      let polygon = [[left, bottom], [right, bottom], [right, top], [left, top]];
      all.forEach((other, j) => {
        if (j === k || square(all[k], other) === 0) return;
        const nearer = (z) => square(z, other) - square(z, all[k]), cut = [];
        polygon.forEach((a, i) => {
          const b = polygon[(i + 1) % polygon.length], [u, v] = [nearer(a), nearer(b)];
          if (u >= 0) cut.push(a);
          if (u * v < 0) cut.push([0, 1].map((c) => a[c] + (u / (u - v)) * (b[c] - a[c])));
        });
        polygon = cut;
      });
      return polygon;
    }

    function drawPlane(all, used) {
      const drawing = axes(view, plane, { x: { range: range[0], label: view.get("axes")[0] },
        y: { range: range[1], label: view.get("axes")[1] } });
      const { context, sx, sy, box } = drawing;
      scales = { sx, sy, inverse: (px, py) => [left + ((px - box.left) / (box.right - box.left)) * (right - left),
        top - ((py - box.top) / (box.bottom - box.top)) * (top - bottom)] };
      all.forEach((_, k) => {
        const polygon = cell(k, all).map(toPixel);
        if (!polygon.length) return;
        context.globalAlpha = 0.13;
        context.fillStyle = color(k);
        context.beginPath();
        polygon.forEach(([x, y]) => context.lineTo(x, y));
        context.closePath();
        context.fill();
        context.globalAlpha = 1;
        context.strokeStyle = view.color.muted;
        context.lineWidth = 1;
        context.stroke();
      });
      points.forEach((z, i) => dot(context, ...toPixel(z), 2.6, color(assigned[i])));
      context.font = `bold 12px ${view.font}`;
      context.textAlign = "left";
      context.textBaseline = "middle";
      all.forEach((e, k) => {
        const [x, y] = toPixel(e), r = k === held() ? 10 : 7.5;
        context.beginPath();
        [[0, -r], [r, 0], [0, r], [-r, 0]].forEach(([dx, dy]) => context.lineTo(x + dx, y + dy));
        context.closePath();
        context.fillStyle = used[k] ? color(k) : view.color.paper;
        context.fill();
        context.strokeStyle = view.color.ink;
        context.lineWidth = k === held() ? 2.5 : 1.2;
        context.stroke();
        context.fillStyle = view.color.ink;
        context.fillText(k + 1, x + r + 2, y);
      });
    }

    reset(codes());
    return view.start(["codes", "at", "code", "rule", "start"], () => {
      // A new place of the held code is the reader's doing; new codes with the old place are a step's, or Python's.
      const place = view.get("at");
      if (at && place !== at && square(place, at) > 0) {
        const moved = codes().map((e, k) => (k === held() ? [...place] : e));
        quietly({ codes: moved });
        remember(held(), place);
        assign(moved);
        if (view.get("rule") === "lloyd") next = 1;
        if (dragged) curve.pop();  // one drag is one step, however many moves it is made of
        dragged = true;
        note(moved);
      }
      at = codes()[held()];
      if (square(at, view.get("at")) > 0) quietly({ at });
      for (const control of view.controls) control();
      const all = codes(), used = all.map((_, k) => assigned.includes(k));
      drawPlane(all, used);
      const ends = [Math.min(...curve), Math.max(...curve)].map((value) => Math.max(value, 1e-9));
      const { context, sx, sy } = axes(view, plot, {
        x: { range: [0, Math.max(curve.length - 1, 10)], label: "steps" },
        y: { range: [0.85 * ends[0], 1.15 * ends[1]], log: true, ticks: (ends[1] > 1.25 * ends[0] ? ends : [ends[0]])
          .map((value) => ({ value, text: significant(value) })) }, left: 56,
      });
      context.strokeStyle = view.color.codebook;
      context.lineWidth = 2;
      line(context, curve.map((value, i) => [sx(i), sy(Math.max(value, 1e-9))]));
      dot(context, sx(curve.length - 1), sy(Math.max(curve.at(-1), 1e-9)), 3.5, view.color.codebook);
      const shares = totals(assigned, points)[0].map((n) => n / points.length), unused = used.filter((u) => !u).length;
      const entropy = shares.reduce((sum, p) => sum - (p ? p * Math.log(p) : 0), 0), value = distortion(all);
      readings.write(String(curve.length - 1), fixed(value, 5), `${fixed(Math.exp(entropy))} of ${size}`, String(unused));
      const fell = curve.length > 1 ? curve.at(-2) - value : 0;
      const change = curve.length < 2 ? "" : Math.abs(fell) < 1e-12 ? ", as before" : fell > 0 ? ", lower" : ", higher";
      view.say(`Distortion ${fixed(value, 5)}${change}; ${unused} of ${size} codes unused; code ${held() + 1} is held.`);
    });
  },
};
