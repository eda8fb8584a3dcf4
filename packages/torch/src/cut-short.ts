import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/**
 * Whether a shared library is empty or, in ELF's 64-bit form, ends before its table of sections, which is its last
 * part: a copy or an installation was cut off. Loading it would end the process (SIGBUS) without a word. Anything else
 * is left to the loader, which says what is wrong. Source: System V ABI, ELF header.
 */
export function isCutShort(library: string): boolean {
  const file = openSync(library, 'r');
  try {
    const head = Buffer.alloc(64);
    readSync(file, head, 0, 64, 0);
    const isElf64 = head.subarray(0, 6).equals(Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1]));
    const tableEnd = Number(head.readBigUInt64LE(0x28)) + head.readUInt16LE(0x3a) * head.readUInt16LE(0x3c);
    const { size } = fstatSync(file);
    return size === 0 || (isElf64 && tableEnd > size);
  } finally {
    closeSync(file);
  }
}
