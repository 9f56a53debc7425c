// Dead letters of one actor: found by pages, looked into, replayed, dropped (docs/protocol/inspection.md).

import { fromBinary } from "@bufbuild/protobuf";
import { CallError, type Caller, Code } from "actr";

import { type RpcEnvelope, RpcEnvelopeSchema } from "../../src/gen/actr/envelope_pb";
import type { Contract } from "../forms/contract";
import { hex, type Shown, shownBytes, shownError } from "../forms/shown";
import { InspectionClient } from "../gen/actr/services/inspection_actr";
import type { DeadLetter } from "../gen/actr/services/inspection_pb";

/** Letters of one page. */
export const PAGE = 50;
/** Pages that one can go back. */
const MAX_BACK = 1000;
/** Seconds for the actor to answer. */
const TIMEOUT = 15;

export type By = "sender" | "route" | "reason";

export interface Filter {
  readonly by: By;
  /** Part of it; empty: all letters. */
  readonly text: string;
}

export interface Page {
  readonly letters: readonly DeadLetter[];
  /** Whether more come behind. */
  readonly isMore: boolean;
}

/** One letter, as it came. */
export interface Opened {
  readonly number: bigint;
  readonly payload: Shown;
  /** The message that the payload is; empty: nobody knows. */
  readonly type: string;
  readonly metadata: readonly (readonly [string, string])[];
  readonly traceparent: string;
  /** Milliseconds that its caller would have waited; 0: no end. */
  readonly timeoutMs: number;
}

/** What is known of an actor's contract when a letter is opened. */
export type Known = Contract | undefined;

export class Letters {
  private readonly client: InspectionClient;
  /** Behind which number each page began, from the first to the one that was read last. */
  private begins: readonly bigint[] = [];
  /** The same, when the read that is under way has ended; else they are one. */
  private wanted = this.begins;
  /** Ends the read that is under way: there is one at a time. */
  private turn = new AbortController();

  /** @param signal ends what waits for an answer */
  constructor(
    caller: Caller,
    private readonly filter: Filter,
    private readonly signal: AbortSignal,
  ) {
    this.client = new InspectionClient(caller);
  }

  /** Whether there is a page before the one that was read last. */
  get mayGoBack(): boolean {
    return this.begins.length > 1;
  }

  // Each read ends one that is under way, which comes to nothing: undefined.

  first(): Promise<Page | undefined> {
    return this.at([0n]);
  }

  /** What comes behind the last letter of a page. */
  next(page: Page): Promise<Page | undefined> {
    return this.at([...this.begins, page.letters.at(-1)?.number ?? 0n].slice(-MAX_BACK));
  }

  /** The page before; the first one, where none is known. */
  back(): Promise<Page | undefined> {
    return this.at(this.mayGoBack ? this.begins.slice(0, -1) : [0n]);
  }

  /** The page that was read last, as it is now; or the one that is being read, which is not lost by that. */
  again(): Promise<Page | undefined> {
    return this.at(this.wanted.length > 0 ? this.wanted : [0n]);
  }

  /** Ends what is being read; harmless if nothing is. */
  stop(): void {
    this.turn.abort();
    this.turn = new AbortController();
    this.wanted = this.begins;
  }

  private async at(begins: readonly bigint[]): Promise<Page | undefined> {
    this.stop();
    this.wanted = begins;
    const { turn, filter } = this;
    const after = begins.at(-1)!;
    const request = { after, limit: PAGE + 1, ...(filter.text !== "" && { [filter.by]: filter.text }) };
    try {
      const letters = await this.find(request, AbortSignal.any([this.signal, turn.signal]));
      if (turn !== this.turn) {
        return undefined;
      }
      this.begins = begins;
      return { letters: letters.slice(0, PAGE), isMore: letters.length > PAGE };
    } catch (error) {
      if (turn !== this.turn) {
        return undefined;
      }
      this.wanted = this.begins;
      throw error;
    }
  }

  private async find(request: Parameters<InspectionClient["findLetters"]>[0], signal = this.signal): Promise<DeadLetter[]> {
    const found: DeadLetter[] = [];
    const most = (request.limit ?? 1) as number;
    for await (const letter of this.client.findLetters(request, { timeout: TIMEOUT, signal })) {
      found.push(letter);
      if (found.length >= most) {
        break; // more than was asked for is not listened to
      }
    }
    return found;
  }

  /** One letter with what is in it; undefined: it is gone. */
  async open(number: bigint, known: Known): Promise<Opened | undefined> {
    const [letter] = await this.find({ numbers: [number], withEnvelopes: true, limit: 1 });
    return letter && opened(letter, known);
  }

  /** Queues letters again; the numbers of those that were. */
  replay(numbers: readonly bigint[]): Promise<bigint[]> {
    return this.done(this.client.replayLetters({ numbers: [...numbers] }, { timeout: TIMEOUT, signal: this.signal }));
  }

  /** Deletes letters; the numbers of those that there were. */
  drop(numbers: readonly bigint[]): Promise<bigint[]> {
    return this.done(this.client.dropLetters({ numbers: [...numbers] }, { timeout: TIMEOUT, signal: this.signal }));
  }

  private async done(told: AsyncIterable<{ readonly numbers: bigint[] }>): Promise<bigint[]> {
    for await (const { numbers } of told) {
      return numbers;
    }
    return [];
  }
}

/** Takes an envelope apart: by the contract where that knows its method, else as bytes. */
export function opened({ number, envelope, routeKey }: DeadLetter, known: Known): Opened {
  const nothing = { number, type: "", metadata: [], traceparent: "", timeoutMs: 0 };
  let read: RpcEnvelope;
  try {
    read = fromBinary(RpcEnvelopeSchema, envelope);
  } catch {
    return { ...nothing, payload: { ...hex(envelope), isWrong: true } };
  }
  const methods = known?.services.flatMap((service) => service.methods) ?? [];
  const method = methods.find((each) => each.routeKey === routeKey);
  // A stream's letter is its opening, whose payload is the request of a method that takes one.
  const takesOne = method?.kind === "unary" || method?.kind === "server_stream";
  const desc = takesOne ? method.request : undefined;
  return {
    ...nothing,
    payload: desc === undefined ? hex(read.payload) : shownBytes(desc, read.payload, known!.registry),
    type: desc?.typeName ?? "",
    metadata: Object.entries(read.metadata),
    traceparent: read.traceparent,
    timeoutMs: read.timeoutMs,
  };
}

/** The setting that says what others may do. */
export const SETTING = "ACTR_ACTOR__INSPECTION";

/** Why something was refused, and what to do about it. */
export function wordsOf(error: unknown): string {
  const { name, text } = shownError(error, undefined);
  const isOfSetting = text.includes("actor.inspection");
  if (error instanceof CallError && error.code === Code.PERMISSION_DENIED) {
    return isOfSetting
      ? `This actor lets others look, and change nothing: ${SETTING}=operate would let them.`
      : `The access rules of this actor do not let this console do that. It says: ${text}`;
  }
  if (error instanceof CallError && error.code === Code.UNIMPLEMENTED && isOfSetting) {
    return `This actor lets nobody look: ${SETTING}=look would let others, and operate would let them change its dead letters.`;
  }
  return `${name}: ${text}`;
}
