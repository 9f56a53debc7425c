// With certificates of a real issuer: joined, believed, renewed, and called over WebRTC with signed descriptions.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as path } from "node:path";
import { after, before, describe, test } from "node:test";

import { WebSocket } from "ws";

import { ConfigError, UnreachableError } from "../../src/errors";
import { join, type JoinOptions } from "../../src/join";
import type { Certificate } from "../../src/protocol/identity/certificates";
import { utf8 } from "../../src/protocol/bytes";
import { webCrypto } from "../../src/wire/crypto";
import { IssuerClient } from "../../src/wire/identity/issuer";
import { OwnIdentity } from "../../src/wire/identity/own";
import type { SocketClass } from "../../src/wire/socket";
import { ChatClient } from "../../demo/gen/actr/demo/chat_actr";
import { token } from "../kit/issuer";
import { Service, skip } from "../kit/services";
import { peerConnection, skip as noWebRtc } from "../kit/webrtc/native";

const SECRET = "0123456789abcdef";
const ROOM = "demo:room@1:default";
const timeout = 120_000;

describe("a page with a certificate", { skip }, () => {
  const folder = mkdtempSync(path(tmpdir(), "actr-certified-"));
  const home = path(folder, "issuer");
  let [signaling, room]: (Service | undefined)[] = [];
  let issuer: string;

  before(async () => {
    const file = path(folder, "secret");
    writeFileSync(file, SECRET, { mode: 0o600 });
    signaling = await Service.signaling({
      ACTR_SIGNALING__REALM_SECRET_FILE: file,
      ACTR_SIGNALING__ISSUER_HOME: home,
      ACTR_ISSUER__LIFE: "30",
    });
    issuer = `http://${new URL(signaling.url).host}/issuer`;
    const secret = { ACTR_REALM__SECRET_FILE: file };
    room = await Service.room(ROOM, signaling.url, folder, { ...secret, ACTR_IDENTITY__ISSUER_URL: issuer });
  });
  after(async () => {
    await room?.stop();
    await signaling?.stop();
    rmSync(folder, { recursive: true });
  });

  const common = (): JoinOptions => ({
    socket: WebSocket as unknown as SocketClass,
    ...(noWebRtc ? {} : { connection: peerConnection() }),
  });

  test("by a join token, once; then its key is enough", { timeout }, async () => {
    const key = await OwnIdentity.make();
    let asked = 0;
    const identity = { issuer, key, token: () => (asked++, token(home, "acme:page@1")) };
    const given: Certificate[] = [];
    for (let load = 0; load < 2; load++) {
      const page = await join(signaling!.url, "acme:page@1:default", { ...common(), identity: { ...identity, renewed: (each) => given.push(each) } });
      const [found] = await page.signaling.discover({ actrType: "demo:room" });
      assert.equal(found?.id.text, ROOM, "what the room signed is not believed");
      await page.close();
    }
    assert.equal(asked, 1);
    assert.deepEqual(given.map(({ subject, realm }) => [subject, realm]), [["acme:page@1", "default"], ["acme:page@1", "default"]]);
  });

  for (const id of ["acme:page@2:default", "zebra:page@2:default"]) {
    test(`calls a room with one: ${id}`, { skip: noWebRtc, timeout }, async () => {
      const refused: string[] = [];
      const subject = id.replace(":default", "");
      const page = await join(signaling!.url, id, {
        ...common(),
        identity: { issuer, key: await OwnIdentity.make(), token: () => token(home, subject) },
        sink: { refused: (actor, why) => void refused.push(`${actor} ${why}`) },
      });
      const { number } = await new ChatClient(page.to(ROOM)).say({ author: "page", text: "hello" }, { timeout: 20 });
      assert.ok(number > 0n);
      assert.deepEqual(refused, []);
      await page.close();
    });
  }

  test("of a pattern, for each id that it covers", { timeout }, async () => {
    const key = await OwnIdentity.make();
    const identity = { issuer, key, subject: "acme:ann@*", token: () => token(home, "acme:ann@*", "--patterns") };
    const pages = [];
    for (const instance of ["tab1", "tab2"]) {
      pages.push(await join(signaling!.url, `acme:ann@${instance}:default`, { ...common(), identity }));
    }
    await assert.rejects(join(signaling!.url, "acme:bob@tab1:default", { ...common(), identity }), /one for acme:ann@\*/);
    await Promise.all(pages.map((page) => page.close()));
  });

  test("that it gets no certificate for, it says why", { timeout }, async () => {
    const key = await OwnIdentity.make();
    const asJoin = (identity: Partial<NonNullable<JoinOptions["identity"]>>) =>
      join(signaling!.url, "acme:page@3:default", { ...common(), identity: { issuer, key, ...identity } });
    await assert.rejects(asJoin({}), (error) => error instanceof ConfigError && /no join token: give one/.test(error.message));
    await assert.rejects(asJoin({ token: () => "x" }), (error) => error instanceof ConfigError && /gives .* no certificate/.test(error.message));
    const failed: number[] = [];
    const rejected = asJoin({ token: () => Promise.reject(new Error("log in first")), failed: (_, left) => failed.push(left) });
    await assert.rejects(rejected, (error) => error instanceof UnreachableError && /log in first/.test(error.message));
    assert.ok(failed.length > 1 && failed.every((left) => left === 0), failed.join());
    await assert.rejects(asJoin({ issuer: "http://issuer.example" }), /write https:/);
    await assert.rejects(asJoin({ issuer: "http://127.0.0.1:1/", token: () => "x" }), UnreachableError);
    const other = JSON.stringify(JSON.parse(readFileSync(path(home, "public", "keys.json"), "utf8")).keys.map((each: object) => ({ ...each, kid: "another1" })));
    const unknown = asJoin({ token: () => token(home, "acme:page@3"), issuerKeys: `{"keys": ${other}}` });
    await assert.rejects(unknown, (error) => error instanceof ConfigError && /not among those known here/.test(error.message));
  });

  test("is refused by the issuer with a wrong secret", { timeout }, async () => {
    const client = new IssuerClient(issuer, webCrypto);
    const who = { subject: "demo:room@1", realm: "default" };
    const wrong = await client.enrol(await OwnIdentity.make(), who, { secret: utf8("another secret") });
    assert.ok("kind" in wrong && wrong.isFinal, "a wrong secret enrols");
  });
});
