// The links of one actor: their wires, and what their lanes carry.

import type { LaneView, LinkView, WireView } from "../../gen/actr/services/inspection_pb";
import { isConsole, linksOf, rateOf, type Row } from "../../model/realm";
import { bytes, count, many, rate, roundTrip } from "../../model/words";
import { Id, Mark, type Tone } from "../parts";
import { toLink } from "../route";
import type { PanelProps } from "./panels";

/** Links whose lanes are shown; who has more is looked at by its matrix. */
const MAX_SHOWN = 64;

export function LinksPanel({ store, row }: PanelProps) {
  store.second.value; // rates go stale
  const links = linksOf(row);
  const consoles = row.view!.links.filter(({ remote }) => isConsole(remote)).length;
  const untold = row.view!.linkCount - row.view!.links.length;
  return (
    <>
      {links.length === 0 && <p class="muted">It talks with nobody.</p>}
      {links.slice(0, MAX_SHOWN).map((link) => (
        <OneLink key={link.remote} row={row} link={link} />
      ))}
      <p class="muted">
        {links.length > MAX_SHOWN && `${many(links.length - MAX_SHOWN, "more link")}. `}
        {untold > 0 && `${many(untold, "link")} it does not tell of. `}
        {consoles > 0 && `Besides, ${many(consoles, "console")} ${consoles === 1 ? "looks" : "look"} at it.`}
      </p>
    </>
  );
}

function OneLink({ row, link }: { row: Row; link: LinkView }) {
  const lanes = link.lanes.filter(({ sent, received, queued }) => sent > 0n || received > 0n || queued > 0);
  return (
    <section class="link" aria-label={`Link to ${link.remote}`}>
      <p class="link-head">
        <a href={toLink(row.id, link.remote)}>
          <Id id={link.remote} isWhole />
        </a>
        {link.wires.map((wire) => (
          <Wire key={wire.kind} wire={wire} />
        ))}
      </p>
      {link.trouble && <p class="trouble">{link.trouble}</p>}
      {lanes.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label={`Lanes to ${link.remote}`}>
          <table>
            <thead>
              <tr>
                <th scope="col">Lane</th>
                <th scope="col">Out /s</th>
                <th scope="col">In /s</th>
                <th scope="col">Sent</th>
                <th scope="col">Received</th>
                <th scope="col">Queued</th>
                <th scope="col">Held</th>
                <th scope="col">Again</th>
              </tr>
            </thead>
            <tbody>
              {lanes.map((lane) => (
                <Lane key={lane.lane} row={row} remote={link.remote} lane={lane} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

const TONES: Record<string, Tone> = { ready: "good", suspect: "warn", connecting: "warn", failed: "bad" };

/** A wire in a line; one that nobody has dialled is left out. */
export function Wire({ wire }: { wire: WireView }) {
  if (wire.state === "idle") {
    return null;
  }
  return (
    <span class={wire.isActive ? "wire active" : "wire"}>
      <Mark tone={TONES[wire.state] ?? "none"}>
        {wire.kind}
        {wire.state !== "ready" && ` ${wire.state}`}
      </Mark>
      <span class="number"> {roundTrip(wire.roundTripUs)}</span>
      {wire.isRelayed && <span class="tag">relayed</span>}
      {wire.isActive && <span class="tag">in use</span>}
      {wire.tries > 0 && <span class="muted"> {many(wire.tries, "try").replace("trys", "tries")}</span>}
    </span>
  );
}

function Lane({ row, remote, lane }: { row: Row; remote: string; lane: LaneView }) {
  const { sent, received } = rateOf(row, remote, lane.lane, Date.now());
  const again = lane.resent + lane.duplicates;
  return (
    <tr>
      <th scope="row">
        <code>{lane.lane}</code>
      </th>
      <td class="number live">{rate(sent)}</td>
      <td class="number live">{rate(received)}</td>
      <td class="number">{count(lane.sent)}</td>
      <td class="number">{count(lane.received)}</td>
      <td class={lane.queued > 0 ? "number warn" : "number"}>{count(lane.queued)}</td>
      <td class="number">{bytes(lane.sendingBytes + lane.receivingBytes)}</td>
      <td class="number">
        {count(again)}
        {lane.dropped > 0n && <span class="warn"> {count(lane.dropped)} dropped</span>}
      </td>
    </tr>
  );
}
