// What an actor is called, what it says of itself, and what proves it.

import type { ComponentChildren } from "preact";

import type { IdentityView } from "../../gen/actr/services/inspection_pb";
import { date, duration } from "../../model/words";
import type { PanelProps } from "./panels";

const PROOF: Record<string, string> = {
  certificate: "a certificate",
  secret: "the realm's secret",
  development: "nothing: development mode",
};

export function IdentityPanel({ store, row }: PanelProps) {
  const { presence, view } = row;
  const metadata = Object.entries(presence.metadata);
  return (
    <dl class="pairs">
      <Pair name="Proved by">{view?.identity === undefined ? "not known" : (PROOF[view.identity.by] ?? view.identity.by)}</Pair>
      {view?.identity?.subject && <Certificate store={store} identity={view.identity} skew={row.skew} />}
      <Pair name="Services">
        {presence.services.length === 0 ? "none" : <Lines lines={presence.services.map(([service]) => service)} />}
      </Pair>
      {metadata.length > 0 && (
        <Pair name="Metadata">
          <Lines lines={metadata.map(([key, value]) => `${key} = ${value}`)} />
        </Pair>
      )}
      {presence.wsAddress && (
        <Pair name="WebSocket">
          <code>{presence.wsAddress}</code>
        </Pair>
      )}
      {view !== undefined && (
        <>
          <Pair name="Process">
            <code>{view.incarnation}</code>
          </Pair>
          <Pair name="Registered at">{view.serverId ? <code>{view.serverId}</code> : "no service"}</Pair>
        </>
      )}
    </dl>
  );
}

function Certificate({ store, identity, skew }: { store: PanelProps["store"]; identity: IdentityView; skew: number }) {
  store.second.value;
  const ends = Number(identity.expiresAtMs) + skew;
  const left = (ends - Date.now()) / 1000;
  return (
    <>
      <Pair name="For">
        <code>{identity.subject}</code>
      </Pair>
      <Pair name="Key">
        <code title={identity.fingerprint}>{identity.name}</code>
      </Pair>
      <Pair name="Good until">
        <span class={left < 60 ? "bad" : ""}>
          {date(ends)} ({left > 0 ? `${duration(left)} left` : "over"})
        </span>
      </Pair>
    </>
  );
}

export function Pair({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Lines({ lines }: { lines: readonly string[] }) {
  return (
    <ul class="lines">
      {lines.map((line) => (
        <li key={line}>{line}</li>
      ))}
    </ul>
  );
}
