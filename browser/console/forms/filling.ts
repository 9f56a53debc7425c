// One request while it is written: in a form, or as JSON, which show the same value.

import type { Message, Registry } from "@bufbuild/protobuf";

import type { Offered } from "./contract";
import { draftOf, type Leaf, type Value } from "./draft";
import { PlaceError } from "./places";
import { draftOfText, messageOfText, write } from "./values";

export type Mode = "form" | "json";

/** What was read of it: a message, or why there is none. */
export interface Reading {
  readonly message: Message | undefined;
  /** By the place of the form. */
  readonly places: ReadonlyMap<Leaf, string>;
  /** With the whole of it. */
  readonly whole: string;
}

const NOWHERE: ReadonlyMap<Leaf, string> = new Map();

export class Filling {
  mode: Mode = "form";
  draft: Value;
  /** The JSON, while it is written as that. */
  text = "";
  /** Why the form cannot show the JSON. */
  trouble = "";

  constructor(
    readonly method: Offered,
    private readonly registry: Registry,
  ) {
    this.draft = draftOf(method.request);
  }

  read(): Reading {
    const { request } = this.method;
    if (this.mode === "form") {
      const { message, faults } = write(request, this.draft, this.registry);
      return { message, places: faults.places, whole: faults.whole };
    }
    try {
      return { message: messageOfText(request, this.text, this.registry), places: NOWHERE, whole: "" };
    } catch (error) {
      return { message: undefined, places: NOWHERE, whole: wordsOf(error) };
    }
  }

  /** Shows the same value the other way; stays where it is if the form cannot, and says why. */
  turn(mode: Mode): void {
    const { request } = this.method;
    this.trouble = "";
    if (mode === this.mode) {
      return;
    }
    if (mode === "json") {
      this.text = JSON.stringify(write(request, this.draft, this.registry).json, null, 2);
      this.mode = mode;
      return;
    }
    try {
      this.draft = draftOfText(request, this.text, this.registry);
      this.mode = mode;
    } catch (error) {
      this.trouble = wordsOf(error);
    }
  }

  /** Nothing is written. */
  clear(): void {
    this.draft = draftOf(this.method.request);
    this.text = "{}";
    this.trouble = "";
  }
}

function wordsOf(error: unknown): string {
  if (error instanceof PlaceError) {
    return error.message;
  }
  throw error;
}
