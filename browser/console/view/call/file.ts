// Bytes as base64: in pieces, for a call takes so many arguments and no more.

const PIECE = 3 * 1024;

export function base64(data: Uint8Array): string {
  let text = "";
  for (let at = 0; at < data.length; at += PIECE) {
    text += btoa(String.fromCharCode(...data.subarray(at, at + PIECE)));
  }
  return text;
}
