// A question before what cannot be had back.

import { useEffect, useRef } from "preact/hooks";

import { many } from "../../model/words";

export function Confirm({ count, answer }: { count: number; answer: (isYes: boolean) => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []); // the page behind it waits, and Escape is no
  return (
    <dialog
      ref={dialog}
      class="card"
      aria-labelledby="confirm"
      onCancel={() => answer(false)}
      onKeyDown={(event) => event.stopPropagation() /* it leaves the question, and not the page */}
    >
      <p id="confirm">Drop {many(count, "letter")}? They cannot be had back.</p>
      <div class="actions">
        <button type="button" onClick={() => answer(false)}>
          Keep
        </button>
        <button type="button" class="danger" onClick={() => answer(true)}>
          Drop
        </button>
      </div>
    </dialog>
  );
}
