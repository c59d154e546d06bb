/** Keys that are made of 32-bit words: a text of them would cost more than the rest of a record's way. Pure. */

export function hashOf(words: Int32Array): number {
  let hash = 0;
  for (let n = 0; n < words.length; n++) {
    hash = Math.imul(hash ^ words[n]!, 0x9e37_79b1);
    hash ^= hash >>> 15;
  }
  return hash;
}

/** Of two keys of one length. */
export function isSame(a: Int32Array, b: Int32Array): boolean {
  for (let n = 0; n < a.length; n++) if (a[n] !== b[n]) return false;
  return true;
}
