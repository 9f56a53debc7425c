// Calls the actor behind a gateway as an application with connect-es does, and prints what came as
// one line of JSON: `node calls.mjs URL DESCRIPTORS`.
import { readFileSync } from "node:fs";

import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";

const [baseUrl, descriptors] = process.argv.slice(2);
const set = fromBinary(FileDescriptorSetSchema, readFileSync(descriptors));
const registry = createFileRegistry(set);
const service = registry.getService("probe.Probe");
const askSchema = registry.getMessage("probe.Ask");

async function failure(call) {
  try {
    await call;
    return undefined;
  } catch (error) {
    return ConnectError.from(error);
  }
}

async function calls(httpVersion, useBinaryFormat) {
  const transport = createConnectTransport({
    baseUrl,
    httpVersion,
    useBinaryFormat,
    useHttpGet: true,
  });
  const client = createClient(service, transport);
  const looked = await client.look(
    { number: 7n },
    { timeoutMs: 20000, headers: { "actr-metadata-color": "red" } },
  );
  const counted = [];
  for await (const reply of client.count({ number: 300n })) {
    counted.push(Number(reply.number));
  }
  const summed = await client.sum(
    (async function* () {
      yield { number: 1n };
      yield { number: 2n };
    })(),
  );
  const codes = {};
  for (let code = 1; code <= 16; code++) {
    const error = await failure(client.fail({ number: BigInt(code), text: "why" }));
    const [detail] = error.findDetails(askSchema);
    codes[code] = [error.code, Code[error.code], error.rawMessage, detail?.text];
  }
  const late = await failure(client.wait({ number: 600n }, { timeoutMs: 1000 }));
  const stop = new AbortController();
  const stopped = failure(
    (async () => {
      for await (const _ of client.count({ number: 1000000n }, { signal: stop.signal })) {
        stop.abort();
      }
    })(),
  );
  return {
    seen: JSON.parse(looked.text).metadata,
    number: Number(looked.number),
    counted: counted.length,
    last: counted.at(-1),
    summed: Number(summed.number),
    codes,
    late: late.code,
    stopped: (await stopped).code,
  };
}

const found = {};
for (const version of ["1.1", "2"]) {
  for (const isBinary of [true, false]) {
    found[`${version} ${isBinary ? "proto" : "json"}`] = await calls(version, isBinary);
  }
}
console.log(JSON.stringify(found));
process.exit(0);
