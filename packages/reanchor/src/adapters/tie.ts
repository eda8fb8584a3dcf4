import { closeSync } from 'node:fs';
import { openSync, readStored, type WeightTensor } from '../formats/index.js';
import { type AdaptableNetwork, headParameter } from './network.js';

/** The bytes that are compared at once. */
const pieceBytes = 1 << 24;

/**
 * Whether a head that is the embedding cannot stay it, since one of the two is changed and the other is not, or
 * otherwise. Where both are replaced by the same bytes they stay tied. Errors: FormatError, the system's.
 */
export function untiesHead(
  network: AdaptableNetwork,
  { replaced, added }: { replaced: ReadonlyMap<string, WeightTensor>; added: ReadonlyMap<string, unknown> },
): boolean {
  if (network.head !== undefined) return false;
  const ends = [network.embedding, headParameter(network)];
  if (ends.some((end) => added.has(end))) return true;
  const [embedding, head] = ends.map((end) => replaced.get(end));
  if (embedding === undefined || head === undefined) return embedding !== head;
  return !haveSameBytes(embedding, head);
}

function haveSameBytes(a: WeightTensor, b: WeightTensor): boolean {
  if (a.dtype !== b.dtype || a.end - a.begin !== b.end - b.begin) return false;
  const handle = openSync(a.file);
  try {
    const piece = (tensor: WeightTensor, from: number) => {
      const begin = tensor.begin + from;
      return readStored(handle, { ...tensor, begin, end: Math.min(tensor.end, begin + pieceBytes) }, tensor.file);
    };
    for (let from = 0; from < a.end - a.begin; from += pieceBytes) {
      if (Buffer.compare(piece(a, from), piece(b, from)) !== 0) return false;
    }
    return true;
  } finally {
    closeSync(handle);
  }
}
