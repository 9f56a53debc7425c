// What a page with a certificate needs beside the rest: its key, the issuer, signed descriptions.

export { Statements } from "./protocol/identity/descriptions";
export { Verified } from "./protocol/identity/verified";
export { OwnIdentity } from "./wire/crypto";
export { IssuerClient } from "./wire/issuer";
export { SignedRelay, type SignedRelayOptions } from "./wire/webrtc/signed";
