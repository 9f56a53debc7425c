// Which ways to reach this peer's far side are taken, and how many are kept.
//
// Grammar: RFC 8839, section 5.1. Which addresses a page may send packets to is the browser's to
// say, and names ending in `.local` (RFC 8828) are for it to resolve: no rule on addresses is here.

import { LimitError, RemoteProtocolError } from "../../errors";
import { characters } from "../bytes";
import type { Candidate } from "./negotiation";

/** Candidates that wait for a connection or a description, over all connections. */
export const MAX_EARLY = 256;
export const MAX_PER_DESCRIPTION = 16;
export const MAX_TRICKLED = 32;
export const MAX_CANDIDATE_CHARACTERS = 512;
/** What signaling carries: its messages have 64 KiB, and track ids go beside it. */
export const MAX_SDP_CHARACTERS = 48 * 1024;
/** Data, and sixteen tracks each way. */
export const MAX_SECTIONS = 40;

/**
 * Whether the far side's candidate may be tried; one of another component, or without a port, is no
 * violation. Throws `RemoteProtocolError` if it is not a candidate at all.
 */
export function admits(candidate: string): boolean {
  const size = characters(candidate);
  if (size > MAX_CANDIDATE_CHARACTERS) {
    throw new RemoteProtocolError(`candidate of ${size} characters`);
  }
  // foundation component transport priority host port "typ" type …
  const parts = candidate.trim().split(/\s+/);
  const [, component = "", , priority = "", , port = "", typ] = parts;
  const areNumbers = [component, priority, port].every((part) => /^\d+$/.test(part));
  if (parts.length < 8 || typ !== "typ" || !areNumbers) {
    throw new RemoteProtocolError(`not a candidate: '${candidate.slice(0, 80)}'`);
  }
  return component === "1" && Number(port) > 0 && Number(port) < 65536;
}

/**
 * The far side's `sdp` without the candidates that may not be tried. Throws `LimitError` if it is
 * longer, or names more candidates or sections, than are taken here, and `RemoteProtocolError` if a
 * candidate in it cannot be read.
 */
export function clean(sdp: string): string {
  const size = characters(sdp);
  if (size > MAX_SDP_CHARACTERS) {
    throw new LimitError("characters of SDP", MAX_SDP_CHARACTERS, size);
  }
  const lines = sdp.split(/\r\n|\n|\r/);
  const sections = lines.filter((line) => line.startsWith("m=")).length;
  if (sections > MAX_SECTIONS) {
    throw new LimitError("media sections", MAX_SECTIONS, sections);
  }
  // Each section may name those of its own transport, of which one is used in the end.
  const here = new Set<string>();
  let kept = "";
  for (const line of lines) {
    if (line.startsWith("m=")) {
      here.clear();
    }
    const isCandidate = line.startsWith("a=candidate:");
    if (isCandidate && here.add(line).size > MAX_PER_DESCRIPTION) {
      throw new LimitError("candidates in a section", MAX_PER_DESCRIPTION, here.size);
    }
    if (line !== "" && (!isCandidate || admits(line.slice("a=candidate:".length)))) {
      kept += `${line}\r\n`;
    }
  }
  return kept;
}

/** The own `sdp` with as many candidates as a far side takes: browsers find more of them. */
export function trim(sdp: string): string {
  let here = 0;
  return sdp.replace(/(m=|a=candidate:).*\r?\n?/g, (line, what) => {
    here = what === "m=" ? 0 : here + 1;
    return here <= MAX_PER_DESCRIPTION ? line : "";
  });
}

/**
 * The far side's candidates of one connection: counted, sifted, kept until described. A candidate can
 * overtake the description that it belongs to; it waits here.
 */
export class CandidateInbox {
  #taken = 0;
  #waiting: Candidate[] | undefined = [];

  /**
   * Takes one; returns those to be tried now, in order. Throws `LimitError` if the far side trickles
   * too many, and `RemoteProtocolError` if it cannot be read.
   */
  receive(candidate: Candidate): readonly Candidate[] {
    this.#taken += 1;
    // And one that says "no more".
    if (this.#taken > MAX_TRICKLED + 1) {
      throw new LimitError("trickled candidates", MAX_TRICKLED, this.#taken);
    }
    if (candidate.candidate !== "" && !admits(candidate.candidate)) {
      return [];
    }
    if (this.#waiting === undefined) {
      return [candidate];
    }
    this.#waiting.push(candidate);
    return [];
  }

  /** The first description is applied: returns those that waited for it. */
  described(): readonly Candidate[] {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    return waiting;
  }
}

/** Candidates of connections not known yet; the oldest connection's go when it is full. */
export class EarlyCandidates {
  /** How many are kept. */
  size = 0;
  dropped = 0;
  readonly #waiting = new Map<string, Candidate[]>();

  constructor(readonly limit = MAX_EARLY) {}

  /** Keeps one until `key` is taken; more than one connection sends is dropped. */
  keep(key: string, candidate: Candidate): void {
    const waiting = this.#waiting.get(key) ?? [];
    if (waiting.length > MAX_TRICKLED) {
      this.dropped += 1;
      return;
    }
    this.#waiting.set(key, waiting);
    waiting.push(candidate);
    this.size += 1;
    for (const [oldest, lost] of this.#waiting) {
      if (this.size <= this.limit) {
        break;
      }
      this.#waiting.delete(oldest);
      this.size -= lost.length;
      this.dropped += lost.length;
    }
  }

  /** Those of `key`, in order of arrival; they are forgotten here. */
  take(key: string): readonly Candidate[] {
    const waiting = this.#waiting.get(key) ?? [];
    this.#waiting.delete(key);
    this.size -= waiting.length;
    return waiting;
  }
}
