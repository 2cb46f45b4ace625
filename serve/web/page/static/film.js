// <cf-film>: a video, and its class areas over time that follow it and lead to its moments.

class Film extends HTMLElement {
  connectedCallback() {
    if (this.wired) return;
    this.wired = true;
    const video = this.querySelector("video");
    const chart = this.querySelector("svg.areas");
    if (!video || !chart) return;
    const needle = chart.querySelector(".needle");
    const { width, left } = chart.dataset;
    const seconds = Number(chart.dataset.seconds);
    const place = () => {
      const share = seconds > 0 ? Math.min(video.currentTime / seconds, 1) : 0;
      needle.setAttribute("transform", `translate(${Number(left) + share * Number(width)} 0)`);
      if (!video.paused && this.isConnected) requestAnimationFrame(place);
    };
    for (const event of ["play", "timeupdate", "seeked"]) video.addEventListener(event, place);
    chart.addEventListener("click", (event) => {
      const box = chart.getBoundingClientRect();
      const at = ((event.clientX - box.left) / box.width) * chart.viewBox.baseVal.width;
      const share = (at - Number(left)) / Number(width);
      video.currentTime = Math.min(Math.max(share, 0), 1) * seconds;
    });
    place();
  }
}

customElements.define("cf-film", Film);
