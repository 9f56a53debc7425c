// The console: begins when the page has loaded.

import { render } from "preact";

import type { Leave } from "./session/certified";
import { App } from "./view/app";
import { Store } from "./view/store";

/**
 * What `actr dev` hands over behind the #, which no server is sent: `#secret=…`. It is taken out of the
 * address at once, and kept nowhere but in this page.
 */
function handedOver(): Leave | undefined {
  const found = /^#(secret|token)=(.+)$/s.exec(location.hash);
  if (found === null) {
    return undefined;
  }
  history.replaceState(null, "", location.pathname);
  try {
    return { kind: found[1] as Leave["kind"], text: decodeURIComponent(found[2]!) };
  } catch {
    return undefined;
  }
}

const leave = handedOver();
const store = new Store(location.origin);
const place = document.getElementById("app")!;
place.replaceChildren();
render(<App store={store} />, place);
void store.start(leave);
addEventListener("pagehide", () => void store.leave());
