/** The program of a thread that makes rows tokens. */
import { parentPort, workerData } from 'node:worker_threads';
import { type TextRows, type TokenizingParts, tokenizeBlock, tokenizingOf } from './tokenize-block.js';

const tokenizing = tokenizingOf(workerData as TokenizingParts);

parentPort!.on('message', (rows: TextRows) => {
  try {
    const made = tokenizeBlock(tokenizing, rows);
    parentPort!.postMessage(made, [made.block.numbers.buffer, made.block.bytes.buffer]);
  } catch {
    // Who has sent the rows meets the same error with them, and tells it.
    parentPort!.postMessage(undefined);
  }
});
