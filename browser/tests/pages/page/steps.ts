// What tests have a page do, by name: arguments and results are JSON.

import { CallError, join } from "actr";

import { ChatClient } from "../../../demo/gen/actr/demo/chat_actr";
import type { Given } from "./actor";
import { PageActor } from "./actor";
import { certified } from "./certified";
import * as chat from "./chat";

let page: PageActor;

const refused: string[] = [];
addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
  refused.push(`${violatedDirective} ${blockedURI}`);
});

/** Milliseconds from `work` to its end. */
async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

const steps = {
  ...certified,

  async start(given: Given) {
    page = new PageActor(given);
    await page.client.start();
  },

  /** What its policy has kept this page from. */
  refused: async () => refused,

  async find(actrType: string) {
    return (await page.client.discover({ actrType })).map(({ id }) => id.text).sort();
  },

  /** One call of each kind of method, and one that is refused. */
  async kinds(remote: string) {
    const caller = page.caller(remote);
    const { number } = await caller.unary(chat.SAY, chat.say("ann", "hello"));
    await caller.unary(chat.SAY, chat.say("bob"));
    const { wasPresent } = await caller.unary(chat.KICK, chat.kick("bob"));
    const people: string[] = [];
    for await (const { who } of caller.serverStream(chat.PRESENCE, chat.presence())) {
      people.push(who);
      break; // it follows the room until somebody leaves
    }
    const { size, sent, told } = await steps.upload({ remote, bytes: 200_000, pieces: 10, cuts: [], calls: 0 });
    const moves: number[] = [];
    async function* mine() {
      for (let x = 0; x < 3; x++) {
        yield chat.move(x);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
    for await (const { x } of caller.bidiStream(chat.CURSORS, mine())) {
      moves.push(x);
    }
    const error = await caller.unary(chat.SAY, chat.say("")).catch((error: unknown) => error);
    const code = error instanceof CallError ? error.code : String(error);
    return { number: Number(number), wasPresent, people, isWhole: size === 200_000 && sent === told, moves, code };
  },

  async say({ remote, author, timeout = 30 }: { remote: string; author: string; timeout?: number }) {
    return Number((await page.caller(remote).unary(chat.SAY, chat.say(author), { timeout })).number);
  },

  /** As `say`; the error in words where there is one. */
  sayOrTell: (asked: { remote: string; author: string; timeout?: number }) =>
    steps.say(asked).catch((error: unknown) => `${(error as Error).name}: ${(error as Error).message}`),

  /** An upload beside calls; the wire is cut before these pieces, by `cut` of the test where there is one. */
  async upload({ remote, bytes, pieces, cuts, calls }: UploadOf) {
    const file = new Uint8Array(bytes).map((_, at) => (at * 7 + (at >> 8)) % 251);
    const caller = page.caller(remote);
    const each = Math.ceil(bytes / pieces);
    let before = 0;
    async function* all() {
      yield chat.piece({ case: "header", value: { name: "f", sizeBytes: BigInt(bytes) } as never });
      for (let at = 0; at < pieces; at++) {
        if (cuts.includes(at)) {
          await page.ready(remote, before);
          before = page.made;
          await (window.cut ?? (async () => page.cut()))();
        }
        yield chat.piece({ case: "data", value: file.subarray(at * each, (at + 1) * each) });
      }
    }
    const uploaded = caller.clientStream(chat.UPLOAD, all());
    const numbers: number[] = [];
    for (let count = 0; count < calls; count++) {
      numbers.push(await steps.say({ remote, author: "page" }));
    }
    const reply = await uploaded;
    return { size: Number(reply.sizeBytes), told: reply.sha256, sent: await chat.sha256(file), numbers };
  },

  /**
   * An upload that is made as it goes, of pieces of 100,000 bytes in which all bytes are the piece's number; the wire
   * is cut before some, and the test looks at the page before others. What the room says of it.
   */
  async large({ remote, pieces, cuts, looks }: { remote: string; pieces: number; cuts: number[]; looks: number[] }) {
    const caller = page.caller(remote);
    let before = 0;
    async function* all() {
      yield chat.piece({ case: "header", value: { name: "f", sizeBytes: BigInt(pieces * 100_000) } as never });
      for (let at = 0; at < pieces; at++) {
        if (cuts.includes(at)) {
          await page.ready(remote, before);
          before = page.made;
          page.cut();
        }
        if (looks.includes(at)) {
          await window.look!();
        }
        yield chat.piece({ case: "data", value: new Uint8Array(100_000).fill(at) });
      }
    }
    const { sizeBytes, sha256 } = await caller.clientStream(chat.UPLOAD, all());
    return { size: Number(sizeBytes), sha256 };
  },

  /** As a page is written: `join`, and a generated client; what the room answered. */
  async joined({ signaling, id, remote }: { signaling: string; id: string; remote: string }) {
    const me = await join(signaling, id);
    const chat = new ChatClient(me.to(remote));
    const { number } = await chat.say({ author: "joined", text: "hello" }, { timeout: 30 });
    const { messages } = await chat.history({ limit: 1 });
    await me.close();
    const late = await chat.history({}).catch((error: unknown) => (error as Error).name);
    return { isNumbered: number > 0n, text: messages.at(-1)?.text, late: String(late) };
  },

  cut: async () => page.cut(),

  /** Waits until this is one of its states. */
  until: (state: string) => page.until(state),

  /** Hosts of the candidates of all connections that are there. */
  async hosts() {
    const found: string[] = [];
    for (const wire of page.open) {
      const { sdp } = ("connection" in wire && wire.connection.localDescription) || { sdp: "" };
      found.push(...[...sdp.matchAll(/^a=candidate:\S+ \d+ \S+ \d+ (\S+) \d+ typ host/gm)].map(([, host]) => host!));
    }
    return found;
  },

  /** Of the pair of candidates in use, what the page's own is, and how it comes to its server. */
  async path() {
    const stats = await page.connected.connection.getStats();
    const all: any[] = [...stats.values()];
    const { selectedCandidatePairId } = all.find(({ type }) => type === "transport");
    const local = stats.get(stats.get(selectedCandidatePairId).localCandidateId);
    return { type: local.candidateType, protocol: local.relayProtocol };
  },

  /**
   * From now on timers are as Chromium's are in a page that is not shown: they go off once in a second.
   * A browser without windows shows all its pages.
   */
  async hide() {
    const plain = window.setTimeout;
    const late = (ms = 0) => 1000 * (1 + Math.floor((performance.now() + ms) / 1000)) - performance.now();
    window.setTimeout = ((work: () => void, ms?: number) => plain(work, late(ms))) as typeof setTimeout;
    Object.defineProperty(document, "hidden", { value: true });
    document.dispatchEvent(new Event("visibilitychange"));
  },

  isHidden: async () => document.hidden,

  /** The longest of so many timers that were set for 10 ms, in milliseconds. */
  async slowTimers(count: number) {
    let longest = 0;
    for (let done = 0; done < count; done++) {
      longest = Math.max(longest, await timed(() => new Promise((resolve) => setTimeout(resolve, 10))));
    }
    return longest;
  },

  /** What the far side answered to the first section: its kind, codecs and direction. */
  async firstSection() {
    const { sdp } = page.connected.connection.remoteDescription!;
    const [, kind, body] = /^m=(\w+) (.*?)^m=/ms.exec(sdp)!;
    const codecs = [...body!.matchAll(/^a=rtpmap:\d+ (\w+)/gm)].map(([, codec]) => codec!);
    return { kind, codecs: [...new Set(codecs)], direction: /^a=(sendrecv|sendonly|recvonly|inactive)/m.exec(body!)?.[1] };
  },

  /** Sends the camera beside what goes on, in a new section if that is wanted; the id of its track. */
  async camera({ isNewSection = false } = {}) {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 320, height: 240 } });
    const [track] = stream.getVideoTracks();
    const { connection } = page.connected;
    if (isNewSection) {
      connection.addTransceiver(track!, { streams: [stream] });
    } else {
      connection.addTrack(track!, stream);
    }
    page.connected.renegotiate();
    return track!.id;
  },

  /** Shows the track that comes, until so many seconds of it were seen; what its wire calls it. */
  async watch(seconds: number) {
    await page.until("track video");
    const video = document.querySelector("video")!;
    video.srcObject = new MediaStream(page.tracks);
    await video.play();
    const started = video.currentTime;
    while (video.currentTime < started + seconds) {
      await new Promise((resolve) => video.requestVideoFrameCallback(resolve));
    }
    const ids = Object.values(page.connected.farTrackIds);
    return { ids, width: video.videoWidth, height: video.videoHeight };
  },

  dials: async () => page.dials,
  made: async () => page.made,
  heard: async () => page.heard,
  states: async () => page.states,
  close: () => page.close(),

  /** Milliseconds from a socket to signaling to the first reply, and of so many calls after it. */
  async time({ remote, calls, ...given }: Given & { remote: string; calls: number }) {
    await steps.start(given);
    const one = () => page.caller(remote).unary(chat.SAY, chat.say("timed"));
    await one();
    const first = performance.now() - page.openedAt;
    const rest: number[] = [];
    for (let count = 0; count < calls; count++) {
      rest.push(await timed(one));
    }
    return { first, rest };
  },
};

interface UploadOf {
  readonly remote: string;
  readonly bytes: number;
  readonly pieces: number;
  readonly cuts: readonly number[];
  readonly calls: number;
}

export type Steps = typeof steps;

declare global {
  interface Window {
    steps: Steps;
    /** Of the test: ends wires from outside. */
    cut?: () => Promise<void>;
    /** Of the test: sees what the page holds. */
    look?: () => Promise<void>;
  }
}

window.steps = steps;
