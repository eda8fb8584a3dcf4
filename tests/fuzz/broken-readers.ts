// Readers that do what none may, for the test of the watchdog: inputs are their own number, and one of them is bad.
import type { Reader } from './reader.js';

const bad = (index: number, what: () => unknown): Reader => ({
  names: [],
  share: 1,
  read: (bytes) => (bytes[0] === index ? what() : undefined),
});
const held: Buffer[] = [];

export const readers: Readonly<Record<string, Reader>> = {
  hangs: bad(2, () => /^(a+)+$/.test(`${'a'.repeat(100)}b`)),
  ends: bad(1, () => process.exit(0)),
  grows: bad(3, () => {
    for (;;) held.push(Buffer.alloc(1 << 24, 1));
  }),
  throws: bad(0, () => {
    throw new TypeError('x is not a function');
  }),
};

export const inputOf = (_reader: string, _seed: number, index: number) => Buffer.of(index);
