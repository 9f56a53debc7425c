// Where programs are that tests need and Debian has.

import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What a variable of the environment names, else a program of that name. */
export function find(variable: string, name: string): string | undefined {
  const named = process.env[variable];
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const paths = named ? [named] : folders.map((folder) => join(folder, name));
  return paths.find(isProgram);
}
