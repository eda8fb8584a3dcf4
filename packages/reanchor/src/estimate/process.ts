/** What a training process holds besides tensors, measured on Linux with Node 20 and libtorch 2.13 for the CPU. */

const mebibyte = 2 ** 20;

/** Node.js with libtorch loaded. */
export const loadedBytes = 160 * mebibyte;

/** What training adds: the program, its threads and their buffers, the tokenizer. */
const runningBytes = 65 * mebibyte;

/** The heap that reading and tokenising rows leaves behind: some of it soon, then by their characters. */
const heapBytes = (rows: number, characters: number) => (40 * mebibyte * rows) / (rows + 500) + 3.5 * characters;

/** A row: the objects around its tokens. */
const rowBytes = 1000;

/** The whole of it, for so many rows with so many tokens and characters together. */
export function processBytes({ rows, tokens, characters }: { rows: number; tokens: number; characters: number }) {
  return loadedBytes + runningBytes + heapBytes(rows, characters) + rows * rowBytes + 4 * tokens;
}
