// The camera to Python and back. Tracks go with their wire: on each new one they are put anew.

import type { WebRtcWire } from "actr";

import type { StageClient } from "./gen/actr/demo/stage_actr";
import { enable, inWords, part, show } from "./parts";
import type { Wires } from "./wires";

const SIZE = { width: 320, height: 240 };
const FRAMES_PER_SECOND = 15;

export class Camera {
  #track: MediaStreamTrack | undefined;
  #stop: AbortController | undefined;
  /** What the picture is of. */
  #what = "";
  #back = 0;
  #shown = 0;

  constructor(
    readonly stage: StageClient,
    readonly wires: Wires,
  ) {
    wires.onWire = (wire) => this.#join(wire);
    if (wires.newest !== undefined) {
      this.#join(wires.newest);
    }
    part("camera").addEventListener("click", () => void this.#toggle("camera"));
    part("drawn").addEventListener("click", () => void this.#toggle("drawn"));
    enable("camera", "drawn");
    const video = part<HTMLVideoElement>("in");
    const count = () => {
      this.#shown += 1;
      this.#say();
      video.requestVideoFrameCallback(count);
    };
    video.requestVideoFrameCallback(count);
  }

  async #toggle(which: "camera" | "drawn"): Promise<void> {
    const isOn = part(which).getAttribute("aria-pressed") === "true";
    this.#end();
    if (isOn) {
      show("pictures", "off");
      return;
    }
    const stop = new AbortController();
    this.#stop = stop;
    const stream = which === "camera" ? await this.#cameraOrDrawn() : this.#draw("a drawn picture");
    const [track] = stream.getVideoTracks();
    if (stop.signal.aborted || track === undefined) {
      track?.stop();
      return;
    }
    part(which).setAttribute("aria-pressed", "true");
    this.#track = track;
    const out = part<HTMLVideoElement>("out");
    out.srcObject = stream;
    void out.play();
    if (this.wires.newest !== undefined) {
      this.#put(this.wires.newest);
    }
    await this.#follow(track.id, stop.signal);
  }

  async #cameraOrDrawn(): Promise<MediaStream> {
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ video: SIZE });
      this.#what = "your camera";
      return stream;
    } catch (error) {
      return this.#draw(`no camera (${inWords(error)}), so a drawn picture`);
    }
  }

  /** A ball that goes round, in colour, so that grey is to be seen. */
  #draw(what: string): MediaStream {
    this.#what = what;
    const canvas = Object.assign(document.createElement("canvas"), SIZE);
    const at = canvas.getContext("2d")!;
    const stream = canvas.captureStream(FRAMES_PER_SECOND);
    const timer = setInterval(() => {
      const turn = performance.now() / 900;
      at.fillStyle = "#164b7a";
      at.fillRect(0, 0, SIZE.width, SIZE.height);
      at.fillStyle = "#f2b134";
      at.beginPath();
      at.arc(SIZE.width / 2 + 90 * Math.cos(turn), SIZE.height / 2 + 60 * Math.sin(turn), 34, 0, 7);
      at.fill();
    }, 1000 / FRAMES_PER_SECOND);
    this.#stop?.signal.addEventListener("abort", () => clearInterval(timer));
    return stream;
  }

  /** The stage sends the picture back for as long as this call goes on. */
  async #follow(track: string, signal: AbortSignal): Promise<void> {
    try {
      for await (const { sent } of this.stage.grey({ track }, { signal })) {
        this.#back = sent;
        this.#say();
      }
    } catch (error) {
      if (!signal.aborted) {
        this.#end();
        show("pictures", `it has ended: ${inWords(error)}`, "wrong");
      }
    }
  }

  #end(): void {
    this.#stop?.abort();
    this.#stop = undefined;
    this.#track?.stop();
    const { newest } = this.wires;
    const sender = newest?.connection.getSenders().find(({ track }) => track !== null && track === this.#track);
    if (newest !== undefined && sender !== undefined) {
      newest.connection.removeTrack(sender);
      newest.renegotiate();
    }
    this.#track = undefined;
    [this.#back, this.#shown] = [0, 0];
    for (const id of ["camera", "drawn"]) {
      part(id).setAttribute("aria-pressed", "false");
    }
    part<HTMLVideoElement>("out").srcObject = null;
    part<HTMLVideoElement>("in").srcObject = null;
  }

  /** A wire is there: what it brings is shown, and what there is goes out on it. */
  #join(wire: WebRtcWire): void {
    wire.connection.addEventListener("track", ({ track }) => {
      const video = part<HTMLVideoElement>("in");
      video.srcObject = new MediaStream([track]);
      video.play().catch(() => {}); // another one has come meanwhile
    });
    this.#put(wire);
  }

  #put(wire: WebRtcWire): void {
    if (this.#track !== undefined) {
      wire.connection.addTrack(this.#track, new MediaStream([this.#track]));
      wire.renegotiate();
    }
  }

  #say(): void {
    if (this.#track !== undefined) {
      show("pictures", `${this.#what}: ${this.#back} pictures went back in grey, ${this.#shown} were shown`);
    }
  }
}
