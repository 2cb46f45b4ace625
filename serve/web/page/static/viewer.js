// <cf-viewer>: a picture and what a model sees in it, with a divider between the two.
//
// The server writes the element's content and, as JSON in `data-result`, the picture, the
// run lengths of its classes and the heat map of the confidence. Everything from there on
// (divider, opacity, hidden classes) happens here, without asking the server again.

import { classIds, paint } from "./masks.js";

// Kept while pictures and models change: whoever hides the sky wants it hidden in the next, too.
const chosen = { opacity: 60, divider: 500, show: "classes", hidden: new Set() };

class Viewer extends HTMLElement {
  async connectedCallback() {
    if (this.result) return; // only moved to another place of the page
    const result = JSON.parse(this.dataset.result);
    this.removeAttribute("data-result");
    this.result = result;
    this.canvas = this.querySelector("canvas");
    this.tip = this.querySelector(".cf-tip");
    this.stage = this.querySelector(".cf-stage");
    this.ids = classIds(result.segments, result.height, result.width);
    this.classes = Object.assign(document.createElement("canvas"), {
      width: result.width,
      height: result.height,
    });
    [this.image, this.heat] = await Promise.all([picture(result.image), picture(result.heat)]);
    this.wire();
    this.repaint();
    this.dataset.ready = "yes";
  }

  wire() {
    const opacity = this.querySelector(".cf-opacity");
    const divider = this.querySelector(".cf-divider");
    opacity.value = chosen.opacity;
    divider.value = chosen.divider;
    opacity.addEventListener("input", () => {
      chosen.opacity = Number(opacity.value);
      this.draw();
    });
    divider.addEventListener("input", () => {
      chosen.divider = Number(divider.value);
      this.draw();
    });
    for (const button of this.querySelectorAll("[data-show]")) {
      button.addEventListener("click", () => {
        chosen.show = button.dataset.show;
        this.draw();
      });
    }
    this.boxes = [...this.querySelectorAll(".legend input[type=checkbox]")];
    for (const box of this.boxes) {
      box.checked = !chosen.hidden.has(box.value);
      box.addEventListener("change", () => {
        chosen.hidden[box.checked ? "delete" : "add"](box.value);
        this.repaint();
      });
      const row = box.closest("tr");
      row.addEventListener("pointerenter", () => this.repaint(Number(row.dataset.id)));
      row.addEventListener("pointerleave", () => this.repaint());
    }
    this.querySelector(".cf-all")?.addEventListener("click", () => {
      const hide = this.boxes.every((box) => box.checked);
      for (const box of this.boxes) {
        box.checked = !hide;
        chosen.hidden[hide ? "add" : "delete"](box.value);
      }
      this.repaint();
    });
    this.stage.addEventListener("pointermove", (event) => this.point(event));
    this.stage.addEventListener("pointerleave", () => (this.tip.hidden = true));
  }

  /** Colour the classes again: those hidden left out, or only the one pointed at. */
  repaint(only = null) {
    const { names, colors } = this.result;
    paint(this.classes, this.ids, colors, (id) =>
      only === null ? !chosen.hidden.has(names[id]) : id === only,
    );
    const all = this.querySelector(".cf-all");
    if (all) all.textContent = this.boxes.every((box) => box.checked) ? "Hide all" : "Show all";
    this.draw();
  }

  draw() {
    const { width, height } = this.canvas;
    const context = this.canvas.getContext("2d");
    const edge = Math.round((chosen.divider / 1000) * width);
    const heat = chosen.show === "confidence";
    context.globalAlpha = 1;
    context.drawImage(this.image, 0, 0, width, height);
    context.save();
    context.beginPath();
    context.rect(edge, 0, width - edge, height);
    context.clip();
    context.globalAlpha = chosen.opacity / 100;
    context.drawImage(heat ? this.heat : this.classes, 0, 0, width, height);
    context.restore();
    this.stage.style.setProperty("--edge", `${chosen.divider / 10}%`);
    this.querySelector(".cf-opacity-value").textContent = `${chosen.opacity} %`;
    this.querySelector(".cf-scale").hidden = !heat;
    this.querySelector(".cf-right").textContent = heat ? "confidence" : "classes";
    for (const button of this.querySelectorAll("[data-show]")) {
      button.setAttribute("aria-pressed", String(button.dataset.show === chosen.show));
    }
    // What a test or a screen reader can ask: the state that the picture is drawn in.
    this.dataset.state = `${chosen.show} ${chosen.opacity} ${chosen.divider}`;
  }

  /** Name the class under the pointer. */
  point(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = Math.floor(((event.clientX - box.left) / box.width) * this.result.width);
    const y = Math.floor(((event.clientY - box.top) / box.height) * this.result.height);
    const name = this.result.names[this.ids[y * this.result.width + x]];
    this.tip.hidden = !name || event.pointerType === "touch";
    if (this.tip.hidden) return;
    this.tip.textContent = name;
    this.tip.style.left = `${Math.min(event.clientX - box.left + 14, box.width - 110)}px`;
    this.tip.style.top = `${Math.min(event.clientY - box.top + 14, box.height - 34)}px`;
  }
}

async function picture(source) {
  const image = new Image();
  image.src = source;
  await image.decode();
  return image;
}

customElements.define("cf-viewer", Viewer);
