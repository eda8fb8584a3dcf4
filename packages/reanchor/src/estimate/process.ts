/** What a training process holds besides tensors, measured on Linux with Node 20 and libtorch 2.13 for the CPU. */

const mebibyte = 2 ** 20;

/** Node.js with libtorch loaded. */
export const loadedBytes = 160 * mebibyte;

/** What training adds: the program, its threads and their buffers, the tokenizer, a heap with room for garbage. */
const runningBytes = 75 * mebibyte;

/** A row: its arrays of tokens and the objects around them. */
const rowBytes = 1000;

/** The whole of it, for so many rows with so many tokens together. */
export function processBytes(rows: number, tokens: number): number {
  return loadedBytes + runningBytes + rows * rowBytes + 4 * tokens;
}
