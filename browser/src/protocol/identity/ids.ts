// Who an actor is (docs/protocol/identity.md).
//
// Text form:
//
//     manufacturer:name@instance:realm        acme:room@2:default
//
// URI:
//
//     actr://realm/manufacturer:name@instance     actr://default/acme:room@2

import { ConfigError, RemoteProtocolError } from "../../errors";
import type { ActrId as ActrIdMessage } from "../../gen/actr/envelope_pb";
import type { Plain } from "../protobuf";

// Ids become file names, keys and log fields: a small alphabet keeps all of them plain.
export const MAX_PART_CHARACTERS = 63;
export const PART = `[A-Za-z0-9][A-Za-z0-9._-]{0,${MAX_PART_CHARACTERS - 1}}`;
const ONE_PART = new RegExp(`^${PART}$`);
const TEXT = new RegExp(`^(${PART}):(${PART})@(${PART}):(${PART})$`);
const URI = new RegExp(`^actr://(${PART})/(${PART}):(${PART})@(${PART})$`);
const TYPE = new RegExp(`^${PART}:${PART}$`);
const PARTS = "parts are 1 to 63 letters, digits, '.', '-' or '_'";

/**
 * One actor: type (manufacturer and name), instance and realm.
 *
 * Ids are ordered by their text form; the smaller of two is the offerer of their link.
 */
export class ActrId {
  /** The text form; ids are compared and looked up by it. */
  readonly text: string;

  /** Throws `ConfigError` if a part is not 1 to 63 letters, digits, dots, dashes or underscores. */
  constructor(
    readonly manufacturer: string,
    readonly name: string,
    readonly instance: string,
    readonly realm: string = "default",
  ) {
    for (const part of [manufacturer, name, instance, realm]) {
      if (typeof part !== "string" || !ONE_PART.test(part)) {
        throw new ConfigError(
          `actor id part ${JSON.stringify(part)}: write 1 to 63 letters, digits, '.', '-' or '_', ` +
            "the first a letter or digit",
        );
      }
    }
    this.text = `${manufacturer}:${name}@${instance}:${realm}`;
  }

  /** `manufacturer:name`. */
  get actrType(): string {
    return `${this.manufacturer}:${this.name}`;
  }

  /** `actr://realm/manufacturer:name@instance`. */
  get uri(): string {
    return `actr://${this.realm}/${this.actrType}@${this.instance}`;
  }

  /** Reads the text form; throws `ConfigError` if `text` is none. */
  static parse(text: string): ActrId {
    const [, manufacturer, name, instance, realm] = TEXT.exec(text) ?? [];
    if (manufacturer === undefined) {
      throw new ConfigError(
        `actor id ${JSON.stringify(text)}: write manufacturer:name@instance:realm, for example ` +
          `acme:room@2:default; ${PARTS}`,
      );
    }
    return new ActrId(manufacturer, name!, instance!, realm!);
  }

  /**
   * Reads the URI; it has one form: no escapes, no query, `actr` in small letters. Throws
   * `ConfigError` if `uri` is none.
   */
  static parseUri(uri: string): ActrId {
    const [, realm, manufacturer, name, instance] = URI.exec(uri) ?? [];
    if (realm === undefined) {
      throw new ConfigError(
        `actor URI ${JSON.stringify(uri)}: write actr://realm/manufacturer:name@instance, for ` +
          `example actr://default/acme:room@2; ${PARTS}`,
      );
    }
    return new ActrId(manufacturer!, name!, instance!, realm);
  }

  /** Reads either form, as people write them; throws `ConfigError` if `text` is neither. */
  static read(text: string): ActrId {
    return text.startsWith("actr://") ? ActrId.parseUri(text) : ActrId.parse(text);
  }

  /** Throws `RemoteProtocolError` if a part is missing or not of the alphabet. */
  static fromMessage(message: Plain<ActrIdMessage>): ActrId {
    try {
      return new ActrId(message.manufacturer, message.name, message.instance, message.realm);
    } catch (cause) {
      throw new RemoteProtocolError("an actor id with a missing or malformed part", { cause });
    }
  }

  toMessage(): Plain<ActrIdMessage> {
    const { manufacturer, name, instance, realm } = this;
    return { manufacturer, name, instance, realm };
  }

  equals(other: ActrId): boolean {
    return this.text === other.text;
  }

  /** Whether the text form comes first; the alphabet is ASCII, so units are code points. */
  isSmallerThan(other: ActrId): boolean {
    return this.text < other.text;
  }

  toString(): string {
    return this.text;
  }
}

/** What several actors have in common: `manufacturer:name`. */
export class ActrType {
  constructor(readonly text: string) {}

  toString(): string {
    return this.text;
  }
}

/** The two halves of the own process: the workload, and the code around it. */
export type Place = "self" | "shell";

/**
 * Whom a text names: an id, its URI, an actor type, `self` or `shell`. No text is two of them: the
 * two words have no colon, a type has no `@`. Throws `ConfigError` if it is none.
 */
export function parseDestination(text: string): ActrId | ActrType | Place {
  if (TEXT.test(text)) {
    return ActrId.parse(text);
  }
  if (text.startsWith("actr://")) {
    return ActrId.parseUri(text);
  }
  if (text === "self" || text === "shell") {
    return text;
  }
  if (TYPE.test(text)) {
    return new ActrType(text);
  }
  throw new ConfigError(
    `destination ${JSON.stringify(text)}: write an actor id (acme:room@2:default), its URI ` +
      "(actr://default/acme:room@2), an actor type (acme:room), self, or shell",
  );
}
