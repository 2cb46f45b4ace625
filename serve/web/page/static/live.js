// <cf-live>: the camera, frame by frame through the model.
//
// Newest-frame policy: one frame is on its way at a time, and the next is whatever the camera
// shows when the answer is there. What it showed meanwhile is dropped and counted, so the delay
// never grows, however slow the model is.

import { classIds, paint } from "./masks.js";

const LONGEST = 640; // pixels of the longer side of what is sent
const REMEMBERED = 20; // frames that the rate is taken over

class Live extends HTMLElement {
  connectedCallback() {
    this.hide = () => document.hidden && this.stop();
    document.addEventListener("visibilitychange", this.hide);
    if (this.video) return; // only moved to another place of the page
    this.video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });
    this.canvas = this.querySelector("canvas");
    this.frame = document.createElement("canvas");
    this.classes = document.createElement("canvas");
    this.opacity = this.querySelector(".cf-opacity");
    this.cameras = this.querySelector("select");
    this.startButton = this.querySelector(".cf-start");
    this.stopButton = this.querySelector(".cf-stop");
    this.startButton.addEventListener("click", () => this.start());
    this.stopButton.addEventListener("click", () => this.stop());
    this.cameras.addEventListener("change", () => this.start());
    this.opacity.addEventListener("input", () => this.draw());
  }

  disconnectedCallback() {
    document.removeEventListener("visibilitychange", this.hide);
    this.stop();
  }

  async start() {
    this.stop();
    if (!navigator.mediaDevices) {
      this.say("Browsers give the camera only to pages on this machine or over HTTPS.");
      return;
    }
    const run = (this.run = { seen: 0, sent: 0, times: [] });
    this.say("Waiting for the camera …");
    try {
      const camera = this.cameras.value;
      const stream = await navigator.mediaDevices.getUserMedia({
        video: camera
          ? { deviceId: { exact: camera } }
          : { facingMode: "environment", width: { ideal: 1280 }, height: { ideal: 720 } },
      });
      if (this.run !== run) return stream.getTracks().forEach((track) => track.stop());
      this.stream = stream;
      this.video.srcObject = stream;
      await this.video.play();
    } catch (error) {
      if (this.run === run) this.stop(why(error));
      return;
    }
    this.say("");
    this.dataset.state = "running";
    this.startButton.hidden = true;
    this.stopButton.hidden = false;
    if (this.contains(document.activeElement)) this.stopButton.focus();
    this.listCameras();
    this.count(run);
    while (this.run === run) await this.step(run);
  }

  stop(message = "") {
    this.run = null;
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = null;
    this.video.srcObject = null;
    this.dataset.state = "stopped";
    this.startButton.hidden = false;
    this.stopButton.hidden = true;
    this.say(message);
  }

  /** One frame there and back. */
  async step(run) {
    if (!this.checkVisibility()) return this.stop(); // another tab of the page was opened
    const { videoWidth, videoHeight } = this.video;
    const scale = Math.min(1, LONGEST / Math.max(videoWidth, videoHeight));
    const width = Math.max(1, Math.round(videoWidth * scale));
    const height = Math.max(1, Math.round(videoHeight * scale));
    const began = performance.now();
    Object.assign(this.frame, { width, height });
    this.frame.getContext("2d").drawImage(this.video, 0, 0, width, height);
    const jpeg = await new Promise((done) => this.frame.toBlob(done, "image/jpeg", 0.85));
    let answer;
    try {
      answer = await segment(jpeg);
    } catch (error) {
      if (this.run !== run) return;
      this.say(error.message);
      if (!error.wait) return this.stop(error.message);
      await new Promise((done) => setTimeout(done, 1000 * error.wait));
      return;
    }
    if (this.run !== run) return;
    run.sent += 1;
    Object.assign(this.classes, { width, height });
    const seen = answer.classes.filter(({ rle }) => rle);
    const segments = seen.map(({ id, rle }) => ({ id, counts: rle.counts }));
    this.ids = classIds(segments, answer.height, answer.width);
    this.colors = Object.fromEntries(seen.map(({ id, color }) => [id, rgb(color)]));
    this.draw();
    this.say("");
    this.measure(run, performance.now() - began);
    this.legend(seen);
    await new Promise(requestAnimationFrame);
  }

  draw() {
    this.querySelector(".cf-opacity-value").textContent = `${this.opacity.value} %`;
    if (!this.ids) return;
    const { width, height } = this.frame;
    if (this.canvas.width !== width || this.canvas.height !== height) {
      Object.assign(this.canvas, { width, height });
      this.canvas.parentElement.style.setProperty("--ratio", width / height);
    }
    paint(this.classes, this.ids, this.colors);
    const context = this.canvas.getContext("2d");
    context.globalAlpha = 1;
    context.drawImage(this.frame, 0, 0);
    context.globalAlpha = this.opacity.value / 100;
    context.drawImage(this.classes, 0, 0);
  }

  /** Count what the camera shows, to know what was dropped. */
  count(run) {
    const seen = () => {
      if (this.run !== run) return;
      run.seen += 1;
      this.video.requestVideoFrameCallback?.(seen);
    };
    this.video.requestVideoFrameCallback?.(seen);
  }

  measure(run, latency) {
    run.times.push(performance.now());
    if (run.times.length > REMEMBERED) run.times.shift();
    const span = run.times.at(-1) - run.times[0];
    const rate = span > 0 ? (1000 * (run.times.length - 1)) / span : 0;
    this.show("latency", `${Math.round(latency)} ms`);
    this.show("fps", rate ? rate.toFixed(1) : "–");
    this.show("dropped", Math.max(0, run.seen - run.sent).toString());
    this.show("frames", run.sent.toString());
  }

  show(name, text) {
    this.querySelector(`[data-figure=${name}]`).textContent = text;
  }

  legend(classes) {
    const place = this.querySelector(".legend .unseen");
    place.replaceChildren(
      ...classes
        .sort((one, other) => other.area - one.area)
        .map(({ name, color, area }) => {
          const entry = document.createElement("span");
          const chip = document.createElement("span");
          chip.className = "chip";
          chip.style.background = color;
          entry.append(chip, `${name} ${(100 * area).toFixed(1)} %`);
          return entry;
        }),
    );
  }

  async listCameras() {
    const devices = await navigator.mediaDevices.enumerateDevices();
    const cameras = devices.filter(({ kind }) => kind === "videoinput");
    const current = this.stream?.getVideoTracks()[0]?.getSettings().deviceId;
    this.cameras.replaceChildren(
      ...cameras.map(({ deviceId, label }, number) => {
        const option = new Option(label || `Camera ${number + 1}`, deviceId);
        option.selected = deviceId === current;
        return option;
      }),
    );
    this.cameras.closest("label").hidden = cameras.length < 2;
  }

  say(message) {
    this.querySelector(".cf-say").textContent = message;
  }
}

/** What the model says about a picture; an error's `wait` is how many seconds to try again in. */
async function segment(jpeg) {
  const model = document.querySelector("[data-model]")?.dataset.model ?? "";
  let response;
  try {
    response = await fetch(`v1/segment?model=${encodeURIComponent(model)}`, {
      method: "POST",
      headers: { "Content-Type": "image/jpeg", Accept: "application/json" },
      body: jpeg,
    });
  } catch {
    throw Object.assign(new Error("The server does not answer; trying again …"), { wait: 2 });
  }
  if (response.ok) return response.json();
  if (response.status === 429 || response.status === 503) {
    const wait = Number(response.headers.get("Retry-After")) || 1;
    throw Object.assign(new Error("The server is busy; trying again …"), { wait });
  }
  const problem = await response.json().catch(() => ({}));
  throw new Error(problem.detail || `The server refused the frame (${response.status}).`);
}

function rgb(color) {
  return [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
}

function why(error) {
  const known = {
    NotAllowedError: "The camera was not allowed. Allow it beside the address, then start again.",
    NotFoundError: "There is no camera here.",
    NotReadableError: "The camera is in use by another program.",
  };
  return known[error.name] ?? `The camera cannot be used: ${error.message}`;
}

customElements.define("cf-live", Live);
