// Messages that protobuf-es has generated, as a method takes and gives them.

import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";

import type { Codec } from "./service";

/** A message, as it is read. */
export type Shape<Desc extends DescMessage> = MessageShape<Desc>;
/** A message, or its fields: what is left out has its default. */
export type Init<Desc extends DescMessage> = MessageInitShape<Desc>;

export function codec<Desc extends DescMessage>(schema: Desc): Codec<Shape<Desc>, Init<Desc>> {
  return {
    name: schema.name,
    read: (data) => fromBinary(schema, data),
    write: (message) => toBinary(schema, create(schema, message)),
  };
}
