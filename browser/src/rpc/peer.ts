// One remote as the code above sees it: a link, what is called there, and what it calls here.

import { BrokenError } from "../errors";
import type { ByteLane } from "../protocol/payload";
import type { WireState } from "../protocol/session/wires/policy";
import type { WireKind } from "../protocol/payload";
import { Link, type LinkOptions } from "../transport/link";
import { Client, type Scope } from "./client";
import { type Actor, Server } from "./server";
import type { Context, Route } from "../service";
import { Turns } from "./turns";

/** The handlers of an actor; one object for all its remotes. */
export function actor(routes: readonly Route[], failed: Actor["failed"] = () => {}): Actor {
  const byKey = new Map(routes.map((route) => [route.method.routeKey, route]));
  const guarded: Actor["failed"] = (...failure) => {
    try {
      failed(...failure);
    } catch (error) {
      console.error(error); // its caller is answered all the same
    }
  };
  return { routes: byKey, turns: new Turns(), serving: new Set(), failed: guarded };
}

export interface PeerOptions extends Omit<LinkOptions, "sink" | "inUse"> {
  readonly actor?: Actor;
  /** The link is gone for good. */
  readonly gone?: (error: Error) => void;
  readonly wireChanged?: (kind: WireKind, state: WireState) => void;
}

export class Peer {
  readonly link: Link;
  private readonly server: Server;

  /** @param remote the actor at the far side, in text form */
  constructor(remote: string, options: PeerOptions) {
    this.link = new Link(remote, {
      ...options,
      inUse: () => this.server.isInUse,
      sink: {
        message: (_, lane: ByteLane, message, number) => this.server.message(lane, message, number),
        reset: () => this.server.reset(),
        gone: (_, error) => {
          const text = `the link to ${remote} is gone: ${error.message}`;
          this.server.gone(this.link.refusal() ?? new BrokenError(text, { cause: error }));
          options.gone?.(error);
        },
        wireChanged: (_, kind, state) => options.wireChanged?.(kind, state),
      },
    });
    this.server = new Server(this.link, options.actor ?? actor([]));
  }

  /** What calls the remote: by itself, or as part of a call that is served here. */
  client(context?: Context): Client {
    const scope: Scope = context ?? {};
    const { calls, streams, contracts } = this.server;
    return new Client(this.link, calls, streams, contracts, scope);
  }
}
