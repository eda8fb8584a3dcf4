/** What a training process holds besides tensors, measured on Linux with Node 20 and libtorch 2.13 for the CPU. */

const mebibyte = 2 ** 20;

/** Node.js with libtorch loaded. */
export const loadedBytes = 160 * mebibyte;

/** What training adds: the program, its threads and their buffers, the tokenizer. */
const runningBytes = 65 * mebibyte;

/** The heap that reading and tokenising rows leaves behind. */
const heapBytes = (rows: number) => (40 * mebibyte * rows) / (rows + 500);

/** A row: the objects around its tokens. */
const rowBytes = 1000;

/** The whole of it, for so many rows with so many tokens and characters together. */
export function processBytes({ rows, tokens }: { rows: number; tokens: number }) {
  return loadedBytes + runningBytes + heapBytes(rows) + rows * rowBytes + 4 * tokens;
}
