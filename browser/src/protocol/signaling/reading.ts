// What a signaling service says of actors and of ICE servers, within bounds.
//
// The service hands on what other actors say of themselves. So one description that cannot be used is
// left out and the rest is taken: another actor's mistake does not cut this one off.

import { RemoteProtocolError } from "../../errors";
import { characters, utf8 } from "../bytes";
import { ActrId } from "../identity/ids";
import type { IceServer } from "../webrtc/negotiation";
import type { Presence } from "./presence";
import { IDLE } from "./presence";
import type { IceServer as IceServerMessage, Presence as PresenceMessage } from "./tables";

/** Reads one actor; undefined: it is left out. */
export type ReadPresence = (
  body: PresenceMessage,
) => Presence | undefined | Promise<Presence | undefined>;

/** Actors in one snapshot or answer. */
export const MAX_PRESENT = 32_768;
/** Characters of an address, a name, a fingerprint, a credential or a URL. */
export const MAX_TEXT = 256;
export const MAX_SERVICES = 64;
export const MAX_METADATA_ENTRIES = 16;
/** Of one entry, key and value together. */
export const MAX_METADATA_ENTRY_BYTES = 256;
const MAX_ICE_SERVERS = 16;
const MAX_ICE_URLS = 8;

// RFC 7064 and RFC 7065, with labels that every resolver takes: none empty, none over 63.
const LABEL = "[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?";
const ICE_URL = new RegExp(
  `^(?:stuns?|turns?):(?:${LABEL}(?:\\.${LABEL})*\\.?|\\[[0-9A-F:.]{2,45}\\])` +
    "(?::[0-9]{1,5})?(?:\\?transport=(?:udp|tcp))?$",
  "i",
);

/** What is said of one actor; undefined if it is over a bound or has no id. */
export function readPresence(body: PresenceMessage): Presence | undefined {
  const { wsAddress, incarnation, epoch } = body;
  const metadata = { ...body.metadata };
  const entries = Object.entries(metadata);
  const services = body.services.map(({ service, fingerprint }) => [service, fingerprint] as const);
  const isOver =
    services.length > MAX_SERVICES ||
    entries.length > MAX_METADATA_ENTRIES ||
    [wsAddress, ...services.flat()].some((text) => characters(text) > MAX_TEXT) ||
    entries.some((entry) => utf8(entry.join("")).length > MAX_METADATA_ENTRY_BYTES);
  const id = isOver || body.id === undefined ? undefined : readId(body.id);
  if (id === undefined) {
    return undefined;
  }
  const { mailboxBacklog = 0, powerReserve = 0 } = body.load ?? {};
  const isReserve = powerReserve >= 0 && powerReserve <= 1;
  const load = { ...IDLE, mailboxBacklog, powerReserve: isReserve ? powerReserve : 0 };
  return { id, incarnation, wsAddress, services, metadata, load, epoch };
}

/** An id of the protobuf form; undefined: it is none. */
export function readId(message: Parameters<typeof ActrId.fromMessage>[0]): ActrId | undefined {
  try {
    return ActrId.fromMessage(message);
  } catch (error) {
    if (error instanceof RemoteProtocolError) {
      return undefined;
    }
    throw error;
  }
}

/** The servers that have a URL which can be used, each with no other URLs. */
export function readIceServers(bodies: readonly IceServerMessage[]): IceServer[] {
  return bodies.slice(0, MAX_ICE_SERVERS).flatMap(({ urls: said, username, credential }) => {
    const urls = said.slice(0, MAX_ICE_URLS).filter((url) => characters(url) <= MAX_TEXT && ICE_URL.test(url));
    const isLong = characters(username) > MAX_TEXT || characters(credential) > MAX_TEXT;
    return urls.length === 0 || isLong ? [] : [{ urls, username, credential }];
  });
}
