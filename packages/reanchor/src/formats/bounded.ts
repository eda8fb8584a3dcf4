/**
 * The bytes that come in pieces, such as the body of an answer; undefined if they are more than `most`, and then no
 * more are asked for.
 */
export async function bytesAtMost(
  pieces: AsyncIterable<Uint8Array> | null | undefined,
  most: number,
): Promise<Buffer | undefined> {
  const taken: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of pieces ?? []) {
    bytes += piece.length;
    if (bytes > most) return undefined;
    taken.push(piece);
  }
  return Buffer.concat(taken);
}
