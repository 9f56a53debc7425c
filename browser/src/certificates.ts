// What a page with a certificate has beside the rest: its key, its issuer, signed descriptions. `join`
// loads it where a page has an `identity`.

export { Statements } from "./protocol/identity/descriptions";
export { Credentials, type IdentityOptions } from "./wire/identity/credentials";
export { IssuerClient } from "./wire/identity/issuer";
export { OwnIdentity } from "./wire/identity/own";
export { SignedRelay, type SignedRelayOptions } from "./wire/webrtc/signed";
