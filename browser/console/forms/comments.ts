// What a `.proto` says above a service, a method or a field, where its descriptors still have it.

import type { DescField, DescFile, DescMessage, DescMethod, DescService } from "@bufbuild/protobuf";

/** Letters of one comment that are shown. */
const MAX_LETTERS = 2000;
/** Numbers of the fields of descriptor.proto that lead to an element. */
enum Step {
  METHOD = 2,
  FIELD = 2,
  NESTED = 3,
  MESSAGE = 4,
  SERVICE = 6,
}

const byFile = new WeakMap<DescFile, ReadonlyMap<string, string>>();

/** Without comment signs; empty: there is none. Actors in Python tell none. */
export function commentsOf(desc: DescService | DescMethod | DescField): string {
  if (desc.kind === "service") {
    return commentAt(desc.file, pathOf(desc));
  }
  return commentAt(desc.parent.file, pathOf(desc));
}

function commentAt(file: DescFile, path: readonly number[]): string {
  let comments = byFile.get(file);
  if (comments === undefined) {
    const all = file.proto.sourceCodeInfo?.location ?? [];
    comments = new Map(all.map(({ path, leadingComments }) => [path.join("."), leadingComments]));
    byFile.set(file, comments);
  }
  const text = comments.get(path.join(".")) ?? "";
  const lines = text.slice(0, MAX_LETTERS).split("\n");
  return lines.map((line) => line.trim()).join("\n").trim();
}

function pathOf(desc: DescService | DescMethod | DescMessage | DescField): number[] {
  switch (desc.kind) {
    case "service":
      return [Step.SERVICE, desc.file.proto.service.indexOf(desc.proto)];
    case "rpc":
      return [...pathOf(desc.parent), Step.METHOD, desc.parent.proto.method.indexOf(desc.proto)];
    case "message":
      return desc.parent === undefined
        ? [Step.MESSAGE, desc.file.proto.messageType.indexOf(desc.proto)]
        : [...pathOf(desc.parent), Step.NESTED, desc.parent.proto.nestedType.indexOf(desc.proto)];
    case "field":
      return [...pathOf(desc.parent), Step.FIELD, desc.parent.proto.field.indexOf(desc.proto)];
  }
}
