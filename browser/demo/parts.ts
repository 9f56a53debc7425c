// The parts of the page, by their ids.

export function part<T extends Element = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) {
    throw new Error(`the page has no #${id}`);
  }
  return found as Element as T;
}

export function show(id: string, text: string, tone: "" | "good" | "wrong" = ""): void {
  const at = part(id);
  if (at.textContent !== text) {
    at.textContent = text;
  }
  at.classList.toggle("good", tone === "good");
  at.classList.toggle("wrong", tone === "wrong");
}

/** Lines that a list keeps; the oldest go. */
const MAX_LINES = 200;

/** One more line at the end of a list, which is scrolled there if it was there. */
export function append(id: string, lead: HTMLElement, text: string): void {
  const list = part(id);
  const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 24;
  const line = document.createElement("li");
  line.append(lead, text);
  list.append(line);
  while (list.childElementCount > MAX_LINES) {
    list.firstElementChild?.remove();
  }
  if (isAtEnd) {
    list.scrollTop = list.scrollHeight;
  }
}

export function enable(...ids: string[]): void {
  ids.forEach((id) => part<HTMLButtonElement>(id).removeAttribute("disabled"));
}

export function disable(...ids: string[]): void {
  ids.forEach((id) => part<HTMLButtonElement>(id).setAttribute("disabled", ""));
}

/** For people: an error of this package says in its text what to do. */
export function inWords(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
