// The vectors of `proto/vectors`: what this side writes and reads, as another language does.

import { readFileSync } from "node:fs";
import { test } from "node:test";

export interface Vector {
  readonly why: string;
  // Each group has fields of its own; who reads one says which.
  readonly [field: string]: any;
}

const files = new Map<string, Record<string, { vectors: Vector[] }>>();

/** The vectors of one group, in order. */
export function vectors(file: string, group: string): Vector[] {
  let groups = files.get(file);
  if (groups === undefined) {
    groups = JSON.parse(readFileSync(`../proto/vectors/${file}.json`, "utf-8")).groups;
    files.set(file, groups!);
  }
  const listed = groups![group]?.vectors;
  if (listed === undefined || listed.length === 0) {
    throw new Error(`no vectors ${group} in ${file}`);
  }
  return listed;
}

/** One test for each vector of a group. */
export function each(file: string, group: string, name: string, check: (v: Vector) => void): void {
  for (const vector of vectors(file, group)) {
    test(`${name}: ${vector.why}`, () => check(vector));
  }
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

export function unhex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "hex"));
}
