// Messages that protobuf-es has generated, as a method takes and gives them.

import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";

import type { Codec } from "./service";

export function codec<Desc extends DescMessage>(schema: Desc): Codec<MessageShape<Desc>> {
  return {
    name: schema.name,
    read: (data) => fromBinary(schema, data),
    write: (message) => toBinary(schema, message),
  };
}
