// An actor's contract, as it tells it itself (docs/protocol/reflection.md).
//
// It is a stranger's word: what is too much, or is no contract, ends in one error whose text is shown.

import { create, createFileRegistry, type DescMessage, type FileRegistry, fromBinary } from "@bufbuild/protobuf";
import { protoCamelCase } from "@bufbuild/protobuf/reflect";
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  type FieldDescriptorProto,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  type FileDescriptorSet,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { CallError, type Caller, Code, LimitError, type Method, type MethodKind, PayloadType, RemoteProtocolError } from "actr";

import { ReflectionClient } from "../gen/actr/services/reflection_actr";
import type { Description, MethodDescription, ServiceDescription } from "../gen/actr/services/reflection_pb";
import { commentsOf } from "./comments";

/** Services and files together. */
export const MAX_WORDS = 4096;
/** Of all of them together: a page is no place for more, though a caller may believe 16 MiB. */
export const MAX_BYTES = 4 * 1024 * 1024;
/** Messages, fields, enum values and so on of all files: each costs the page memory of its own. */
export const MAX_ELEMENTS = 50_000;
/** Of the full names of all files: the library makes each of them of those around it. */
export const MAX_LETTERS = 12_000_000;
/** Methods of all services: each is a line to choose. */
export const MAX_METHODS = 2000;
/** Messages within messages: the library takes them apart by calling itself. */
const MAX_NESTED = 32;
/** Of a name or a package, in letters. */
const MAX_NAME = 256;
/** Of the library's words for what is wrong, which have names in them. */
const MAX_TEXT = 500;

/** One method that an actor offers. */
export interface Offered {
  /** `package.Service.Method` */
  readonly routeKey: string;
  /** Alone, as in the `.proto`. */
  readonly name: string;
  readonly kind: MethodKind;
  readonly payloadType: Method["payloadType"];
  readonly request: DescMessage;
  readonly reply: DescMessage;
  /** Seconds that its handler may run; 0: nothing is said. */
  readonly handlerTimeout: number;
  readonly isIdempotent: boolean;
  /** Claims that a caller must have. */
  readonly requires: readonly string[];
  /** Of the `.proto`, where the actor tells it. */
  readonly comment: string;
}

export interface OfferedService {
  /** `package.Service` */
  readonly name: string;
  readonly fingerprint: string;
  readonly comment: string;
  readonly methods: readonly Offered[];
}

export interface Contract {
  readonly services: readonly OfferedService[];
  /** All types that its messages are made of. */
  readonly registry: FileRegistry;
}

/**
 * Asks an actor for its contract. Rejects with `CallError` if it tells none, `DeadlineError` if it does
 * not answer in `timeout` seconds, `LimitError` or `RemoteProtocolError` if what it tells cannot be used.
 */
export async function describe(caller: Caller, timeout: number, signal?: AbortSignal): Promise<Contract> {
  const options = { timeout, ...(signal && { signal }) };
  const told = new ReflectionClient(caller).describe({}, options);
  try {
    return await readContract(told);
  } catch (error) {
    if (error instanceof CallError && error.code === Code.UNIMPLEMENTED) {
      throw new CallError(error.code, "it tells no contract (its setting actor.reflection)", {}, { cause: error });
    }
    throw error;
  }
}

/** Makes a contract of what an actor tells; rejects with `LimitError` or `RemoteProtocolError`. */
export async function readContract(told: AsyncIterable<Description>): Promise<Contract> {
  const services: ServiceDescription[] = [];
  const files: FileDescriptorProto[] = [];
  const count = new Elements();
  let [words, size, methods] = [0, 0, 0];
  for await (const { word } of told) {
    if (++words > MAX_WORDS) {
      throw new LimitError("words of a contract", MAX_WORDS, words);
    }
    if (word.case === "service") {
      services.push(word.value);
      methods += word.value.methods.length;
      if (methods > MAX_METHODS) {
        throw new LimitError("methods of a contract", MAX_METHODS, methods);
      }
    } else if (word.case === "file") {
      size += word.value.length;
      if (size <= MAX_BYTES) {
        files.push(readFile(word.value, count));
      }
    }
    if (size > MAX_BYTES) {
      throw new LimitError("bytes of a contract", MAX_BYTES, size);
    }
  }
  const registry = readRegistry(create(FileDescriptorSetSchema, { file: files }));
  return { services: services.map((service) => readService(service, registry)), registry };
}

/** Counts what a contract is made of, and the letters of its full names. */
class Elements {
  private count = 0;
  private letters = 0;

  /** Takes a name in what has a full name of so many letters; returns those of its own full name. */
  name(name: string, around: number): number {
    checkName(name);
    const letters = around + 1 + name.length;
    this.letters += letters;
    if (this.letters > MAX_LETTERS) {
      throw new LimitError("letters of the names of a contract", MAX_LETTERS, this.letters);
    }
    return letters;
  }

  add(more: number): void {
    this.count += more;
    if (this.count > MAX_ELEMENTS) {
      throw new LimitError("elements of a contract", MAX_ELEMENTS, this.count);
    }
  }
}

function readFile(data: Uint8Array, count: Elements): FileDescriptorProto {
  let file: FileDescriptorProto;
  try {
    file = fromBinary(FileDescriptorProtoSchema, data);
  } catch (cause) {
    throw new RemoteProtocolError("it tells a file that cannot be read", { cause });
  }
  const around = file.package.length;
  if (around > MAX_NAME) {
    throw new RemoteProtocolError(`it tells a package of ${around} letters; at most ${MAX_NAME} are taken`);
  }
  count.add(1 + file.dependency.length);
  file.enumType.forEach((each) => readEnum(each, count, around));
  file.messageType.forEach((message) => readMessage(message, count, around, 0));
  file.extension.forEach((field) => readField(field, count, around));
  file.service.forEach((service) => {
    count.add(1 + service.method.length);
    count.name(service.name, around);
    service.method.forEach(({ name }) => checkName(name));
  });
  return file;
}

function readEnum({ name, value }: EnumDescriptorProto, count: Elements, around: number): void {
  count.add(1 + value.length);
  count.name(name, around);
  value.forEach((each) => checkName(each.name));
}

function readField(field: FieldDescriptorProto, count: Elements, around: number): void {
  count.add(1);
  count.name(field.name, around);
  // Generated modules of Python leave out what `protoc` derives from the name.
  field.jsonName ||= protoCamelCase(field.name);
  checkName(field.jsonName);
}

function readMessage(message: DescriptorProto, count: Elements, around: number, depth: number): void {
  if (depth > MAX_NESTED) {
    throw new LimitError("messages within messages", MAX_NESTED, depth);
  }
  count.add(1 + message.oneofDecl.length);
  const letters = count.name(message.name, around);
  message.oneofDecl.forEach(({ name }) => checkName(name));
  message.enumType.forEach((each) => readEnum(each, count, letters));
  message.field.forEach((field) => readField(field, count, letters));
  message.extension.forEach((field) => readField(field, count, letters));
  message.nestedType.forEach((nested) => readMessage(nested, count, letters, depth + 1));
}

function readRegistry(set: FileDescriptorSet): FileRegistry {
  try {
    return createFileRegistry(set);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new RemoteProtocolError(`its descriptors are none: ${why.slice(0, MAX_TEXT)}`, { cause });
  }
}

function readService(told: ServiceDescription, registry: FileRegistry): OfferedService {
  checkName(told.name);
  const desc = registry.getService(told.name);
  const comments = new Map(desc?.methods.map((method) => [method.name, commentsOf(method)]));
  return {
    name: told.name,
    fingerprint: told.fingerprint,
    comment: desc === undefined ? "" : commentsOf(desc),
    methods: told.methods.map((method) => readMethod(told.name, method, registry, comments.get(method.name) ?? "")),
  };
}

function readMethod(service: string, told: MethodDescription, registry: FileRegistry, comment: string): Offered {
  checkName(told.name);
  const routeKey = `${service}.${told.name}`;
  const request = registry.getMessage(told.request);
  const reply = registry.getMessage(told.reply);
  if (request === undefined || reply === undefined) {
    const missing = request === undefined ? told.request : told.reply;
    throw new RemoteProtocolError(`it tells ${routeKey} without its message ${missing.slice(0, MAX_NAME)}`);
  }
  const kind = kindOf(told);
  return {
    routeKey,
    name: told.name,
    kind,
    payloadType: laneOf(told.payloadType, kind, routeKey),
    request,
    reply,
    handlerTimeout: told.handlerTimeoutMs / 1000,
    isIdempotent: told.isIdempotent,
    requires: told.requires,
    comment,
  };
}

function checkName(name: string): void {
  if (name === "" || name.length > MAX_NAME) {
    throw new RemoteProtocolError(`it tells a name of ${name.length} letters; 1 to ${MAX_NAME} are taken`);
  }
}

function kindOf({ requestsStream, repliesStream }: MethodDescription): MethodKind {
  if (requestsStream) {
    return repliesStream ? "bidi_stream" : "client_stream";
  }
  return repliesStream ? "server_stream" : "unary";
}

/** A lane that calls of this kind may have, else there is no such method. */
function laneOf(told: number, kind: MethodKind, routeKey: string): Method["payloadType"] {
  const ofCalls = told === PayloadType.RPC_RELIABLE || told === PayloadType.RPC_SIGNAL;
  const ofStreams = told === PayloadType.STREAM_RELIABLE || told === PayloadType.STREAM_LATENCY_FIRST;
  if (kind === "unary" ? !ofCalls : !ofStreams) {
    throw new RemoteProtocolError(`it tells ${routeKey} as no method can be: ${kind} with payload type ${told}`);
  }
  return told as Method["payloadType"];
}
