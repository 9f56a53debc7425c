// How what is not of the view is shown again when it has changed.

import { useEffect, useMemo, useState } from "preact/hooks";

/** A function that has the component shown again, once a frame however often it is called. */
export function useAgain(): () => void {
  const [, count] = useState(0);
  const asked = useMemo(() => ({ frame: 0 }), []);
  useEffect(() => () => cancelAnimationFrame(asked.frame), []);
  return useMemo(
    () => () => {
      asked.frame ||= requestAnimationFrame(() => {
        asked.frame = 0;
        count((before) => before + 1);
      });
    },
    [],
  );
}
