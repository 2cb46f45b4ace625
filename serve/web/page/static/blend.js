// <cf-blend>: overlays that share one opacity.

class Blend extends HTMLElement {
  connectedCallback() {
    if (this.wired) return;
    this.wired = true;
    const range = this.querySelector("input[type=range]");
    if (!range) return;
    const show = () => {
      this.style.setProperty("--opacity", range.value / 100);
      this.querySelector("output").textContent = `${range.value} %`;
    };
    range.addEventListener("input", show);
    show();
  }
}

customElements.define("cf-blend", Blend);
