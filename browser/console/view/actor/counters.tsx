// What an actor did not believe, and what failed there.

import { Counts } from "./mailbox";
import type { PanelProps } from "./panels";

export function CountersPanel({ row }: PanelProps) {
  const { refused, failures } = row.view!;
  const isQuiet = [refused, failures].every((counts) => Object.values(counts).every((number) => number === 0n));
  if (isQuiet) {
    return <p class="muted">Nothing since its start.</p>;
  }
  return (
    <>
      <Counts title="Refused: not believed" counts={refused} />
      <Counts title="Failed, and ended only what it concerned" counts={failures} />
    </>
  );
}
