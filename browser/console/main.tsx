// The console: begins when the page has loaded.

import { render } from "preact";

import type { Leave } from "./session/certified";
import { App } from "./view/app";
import { Store } from "./view/store";

/**
 * What the page that `actr dev` writes hands over behind the #, which no server is sent:
 * `#secret=…&realm=…`. It is taken out of the address at once, and kept nowhere but in this page.
 */
function handedOver(): { leave: Leave; realm: string } | undefined {
  const given = new URLSearchParams(location.hash.slice(1));
  const kind = (["secret", "token"] as const).find((each) => given.get(each));
  if (kind === undefined) {
    return undefined;
  }
  history.replaceState(null, "", location.pathname);
  return { leave: { kind, text: given.get(kind)! }, realm: given.get("realm") ?? "default" };
}

const given = handedOver();
const store = new Store(location.origin);
const place = document.getElementById("app")!;
place.replaceChildren();
render(<App store={store} />, place);
store.realmName.value = given?.realm ?? "default";
void store.start(given?.leave);
addEventListener("pagehide", () => void store.leave());
// A page that the browser has kept, and shows again, has left.
addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
