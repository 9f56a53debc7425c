// Which page is shown: what stands behind the # of the address.

import { computed, signal } from "@preact/signals";

export type Route =
  | { readonly page: "actors" | "links" | "events" }
  | { readonly page: "actor"; readonly id: string }
  | { readonly page: "link"; readonly one: string; readonly other: string };

const hash = signal(location.hash);
addEventListener("hashchange", () => {
  hash.value = location.hash;
});

export const route = computed((): Route => read(hash.value));

function read(text: string): Route {
  let parts: string[];
  try {
    parts = text.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  } catch {
    return { page: "actors" }; // what was typed is no address
  }
  const [page, one = "", other = ""] = parts;
  if (page === "actor" && one) {
    return { page, id: one };
  }
  if (page === "link" && one && other) {
    return { page, one, other };
  }
  return { page: page === "links" || page === "events" ? page : "actors" };
}

export const toActors = "#/";
export const toLinks = "#/links";
export const toEvents = "#/events";
export const toActor = (id: string) => `#/actor/${encodeURIComponent(id)}`;
export const toLink = (one: string, other: string) => `#/link/${encodeURIComponent(one)}/${encodeURIComponent(other)}`;

export function go(to: string): void {
  location.hash = to;
}
