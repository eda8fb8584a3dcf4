/** Checksums of what was read of a file that grows: they tell a file that has grown from one that was rewritten. */
import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';

const blockBytes = 1 << 16;
/** Of a long file a check in part looks at so many blocks at either end, and at the next few of those between. */
const [atEnds, between] = [8, 2];

export class ReadBlocks {
  /** Of each block of the file, of the last one as far as it was read. */
  readonly #sums: number[] = [];
  #end = 0;
  #turn = 0;

  /** Takes the bytes that come after those before. */
  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const block = Math.floor(this.#end / blockBytes);
      const taken = Math.min(bytes.length - at, (block + 1) * blockBytes - this.#end);
      this.#sums[block] = crc32(bytes.subarray(at, at + taken), this.#sums[block] ?? 0);
      at += taken;
      this.#end += taken;
    }
  }

  /**
   * Whether a file still begins with what was read. `all` reads all of it again; `some` reads a megabyte, other parts
   * of the middle each time.
   */
  async areIn(handle: FileHandle, how: 'all' | 'some'): Promise<boolean> {
    const buffer = Buffer.allocUnsafe(Math.min(blockBytes, this.#end));
    for (const block of how === 'all' ? this.#sums.keys() : this.#some()) {
      const begin = block * blockBytes;
      const length = Math.min(blockBytes, this.#end - begin);
      const { bytesRead } = await handle.read(buffer, 0, length, begin);
      if (bytesRead < length || crc32(buffer.subarray(0, length)) !== this.#sums[block]) return false;
    }
    return true;
  }

  #some(): Iterable<number> {
    const count = this.#sums.length;
    if (count <= 2 * atEnds + between) return this.#sums.keys();
    const middle = Array.from({ length: between }, () => atEnds + (this.#turn++ % (count - 2 * atEnds)));
    const ends = Array.from({ length: atEnds }, (_, i) => [i, count - 1 - i]);
    return [...ends.flat(), ...middle];
  }
}
