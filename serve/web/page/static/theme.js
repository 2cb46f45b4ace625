// <cf-theme>: the button between light and dark. The choice stays in this browser.

const KEY = "cfcontra-theme";

class Theme extends HTMLElement {
  connectedCallback() {
    if (this.wired) return; // only moved to another place of the page
    this.wired = true;
    const kept = localStorage.getItem(KEY);
    if (kept) this.set(kept === "dark");
    const button = this.querySelector("button");
    const say = () => button.setAttribute("aria-pressed", String(this.dark));
    button.addEventListener("click", () => {
      this.set(!this.dark);
      localStorage.setItem(KEY, this.dark ? "dark" : "light");
      say();
    });
    say();
  }

  get dark() {
    return document.body.classList.contains("dark");
  }

  set(dark) {
    document.body.classList.toggle("dark", dark);
  }
}

customElements.define("cf-theme", Theme);
