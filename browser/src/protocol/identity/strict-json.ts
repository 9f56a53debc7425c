// JSON of strangers: each object names each member once, and all numbers are whole.

import { fromUtf8 } from "../bytes";

// What is left of a text that is JSON: strings, numbers, and the marks of objects and lists.
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|[{}[\]:,]/gs;

/** The tree; undefined: it is not such JSON. */
export function readStrictJson(data: Uint8Array): unknown {
  try {
    const text = fromUtf8(data);
    const tree: unknown = JSON.parse(text);
    return isStrict(text) ? tree : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a text, which is JSON, is of that kind: its parser takes more. */
function isStrict(text: string): boolean {
  const inside: Set<string>[] = [];
  let last = "";
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === "{" || token === "[") {
      inside.push(new Set());
    } else if (token === "}" || token === "]") {
      inside.pop();
    } else if (token === ":") {
      const name = JSON.parse(last) as string;
      const names = inside.at(-1);
      if (names === undefined || names.has(name)) {
        return false;
      }
      names.add(name);
    } else if (token[0] !== '"' && /[.eE]/.test(token)) {
      return false;
    }
    last = token;
  }
  return true;
}

/** A tree as the members of an object; undefined: it is none. */
export function asObject(tree: unknown): Record<string, unknown> | undefined {
  const isOne = typeof tree === "object" && tree !== null && !Array.isArray(tree);
  return isOne ? (tree as Record<string, unknown>) : undefined;
}
