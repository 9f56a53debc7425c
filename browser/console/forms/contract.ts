// An actor's contract, as it tells it itself (docs/protocol/reflection.md).
//
// It is a stranger's word: what is too much, or is no contract, ends in one error whose text is shown.

import { create, createFileRegistry, type DescMessage, type FileRegistry, fromBinary } from "@bufbuild/protobuf";
import { type FileDescriptorProto, type FileDescriptorSet, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { CallError, type Caller, Code, LimitError, type Method, type MethodKind, PayloadType, RemoteProtocolError } from "actr";

import { ReflectionService } from "../gen/actr/services/reflection_actr";
import { type Description, DescriptionSchema, type MethodDescription, type ServiceDescription } from "../gen/actr/services/reflection_pb";
import { undecoded } from "../model/weight";
import { commentsOf } from "./comments";
import { checkName, Elements, MAX_NAME, READING, readFile } from "./files";

/** Services and files together. */
export const MAX_WORDS = 4096;
/** Of all of them together: a page is no place for more, though a caller may believe 16 MiB. */
export const MAX_BYTES = 4 * 1024 * 1024;
/** Of one of them, a service or a file. */
export const MAX_WORD_BYTES = 1024 * 1024;
/** Methods of all services: each is a line to choose. */
export const MAX_METHODS = 2000;
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
  const method = { ...ReflectionService.DESCRIBE, reply: undecoded(ReflectionService.DESCRIBE.reply) };
  try {
    return await readContract(caller.serverStream(method, {}, options));
  } catch (error) {
    if (error instanceof CallError && error.code === Code.UNIMPLEMENTED) {
      throw new CallError(error.code, "it tells no contract (its setting actor.reflection)", {}, { cause: error });
    }
    throw error;
  }
}

/**
 * Makes a contract of what an actor tells; rejects with `LimitError` or `RemoteProtocolError`.
 *
 * @param told the bytes of each `Description`
 */
export async function readContract(told: AsyncIterable<Uint8Array>): Promise<Contract> {
  const services: ServiceDescription[] = [];
  const files: FileDescriptorProto[] = [];
  const count = new Elements();
  let [words, size, methods] = [0, 0, 0];
  for await (const data of told) {
    if (++words > MAX_WORDS) {
      throw new LimitError("words of a contract", MAX_WORDS, words);
    }
    size += data.length;
    if (size > MAX_BYTES) {
      throw new LimitError("bytes of a contract", MAX_BYTES, size);
    }
    const { word } = readWord(data, count);
    if (word.case === "service") {
      services.push(word.value);
      methods += word.value.methods.length;
      if (methods > MAX_METHODS) {
        throw new LimitError("methods of a contract", MAX_METHODS, methods);
      }
    } else if (word.case === "file") {
      files.push(readFile(word.value, count));
    }
  }
  const registry = readRegistry(create(FileDescriptorSetSchema, { file: files }));
  return { services: services.map((service) => readService(service, registry)), registry };
}

function readWord(data: Uint8Array, count: Elements): Description {
  if (data.length > MAX_WORD_BYTES) {
    throw new LimitError("bytes of one word of a contract", MAX_WORD_BYTES, data.length);
  }
  count.decoded(DescriptionSchema, data);
  try {
    return fromBinary(DescriptionSchema, data, READING);
  } catch (cause) {
    throw new RemoteProtocolError("it tells a word that cannot be read", { cause });
  }
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
