// Messages and errors as texts for a page, each with a bound: what comes is a stranger's.

import { type DescMessage, fromBinary, type Registry, toJson } from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { CallError, Code } from "actr";

import { reasonOf } from "./places";

/** Letters of one message. */
export const MAX_TEXT = 16 * 1024;
/** Bytes of a message that is taken apart to be shown. */
export const MAX_MESSAGE = 512 * 1024;
/** Bytes that are shown as such. */
export const MAX_HEX = 1024;
/** Letters of JSON that is in one line. */
const MAX_LINE = 100;
const MAX_DETAILS = 16;
const BYTES_A_LINE = 16;

/** A text that is part of one. */
export interface Shown {
  readonly text: string;
  /** Of all of it, in bytes as it came. */
  readonly bytes: number;
  /** Whether there is more than is shown. */
  readonly isCut: boolean;
  /** Bytes as such: what they mean is not known, or they are too many. */
  readonly isHex: boolean;
  /** They are not the message that they are to be. */
  readonly isWrong: boolean;
}

/** The text of bytes that are a message of this kind, or are to be one: then they are shown as they are. */
export function shownBytes(desc: DescMessage | undefined, data: Uint8Array, registry: Registry): Shown {
  if (desc === undefined || data.length > MAX_MESSAGE) {
    return hex(data);
  }
  try {
    const json = toJson(desc, fromBinary(desc, data), { registry });
    const line = JSON.stringify(json);
    return { ...clip(line.length <= MAX_LINE ? line : JSON.stringify(json, null, 2)), bytes: data.length, isHex: false, isWrong: false };
  } catch {
    return { ...hex(data), isWrong: true };
  }
}

function clip(text: string, most = MAX_TEXT): { text: string; isCut: boolean } {
  return text.length <= most ? { text, isCut: false } : { text: text.slice(0, most), isCut: true };
}

/** Sixteen bytes a line, with their letters. */
export function hex(data: Uint8Array): Shown {
  const lines: string[] = [];
  for (let at = 0; at < Math.min(data.length, MAX_HEX); at += BYTES_A_LINE) {
    const bytes = [...data.subarray(at, Math.min(at + BYTES_A_LINE, MAX_HEX))];
    const digits = bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const letters = bytes.map((byte) => (byte > 0x1f && byte < 0x7f ? String.fromCharCode(byte) : "·")).join("");
    lines.push(`${at.toString(16).padStart(4, "0")}  ${digits.padEnd(BYTES_A_LINE * 3 - 1)}  ${letters}`);
  }
  return { text: lines.join("\n"), bytes: data.length, isCut: data.length > MAX_HEX, isHex: true, isWrong: false };
}

/** An error in words. */
export interface ShownError {
  /** Of gRPC's names, or that of the class of what failed here. */
  readonly name: string;
  readonly text: string;
  /** Who defines the details; empty: actr. */
  readonly domain: string;
  readonly isRetryable: boolean;
  readonly details: readonly Detail[];
  readonly detailsLeftOut: number;
}

export interface Detail extends Shown {
  readonly type: string;
}

export function shownError(error: unknown, registry: Registry | undefined): ShownError {
  const plain = { domain: "", isRetryable: false, details: [], detailsLeftOut: 0 };
  if (error instanceof CallError) {
    const { code, text, domain, retryable, details } = error;
    const shown = details.slice(0, MAX_DETAILS).map((detail) => shownDetail(detail, registry));
    return {
      name: Code[code] ?? `code ${code}`,
      text: clip(text).text,
      domain,
      isRetryable: retryable,
      details: shown,
      detailsLeftOut: details.length - shown.length,
    };
  }
  return { ...plain, name: error instanceof Error ? error.name : "Error", text: reasonOf(error) };
}

function shownDetail(data: Uint8Array, registry: Registry | undefined): Detail {
  let any: Any;
  try {
    any = fromBinary(AnySchema, data);
  } catch {
    return { type: "not an Any", ...hex(data) };
  }
  const type = any.typeUrl.slice(any.typeUrl.lastIndexOf("/") + 1).slice(0, 256);
  const shown = registry === undefined ? hex(any.value) : shownBytes(registry.getMessage(type), any.value, registry);
  return { type, ...shown };
}
