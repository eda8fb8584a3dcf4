/** What of WebAssembly is used here; its types come with those of browsers. */
interface WithWasm {
  WebAssembly: { Memory: new (pages: { initial: number }) => object };
}

/**
 * Whether Node's `fetch` can be used. What reads its answers is WebAssembly, whose memory takes 10 GB of addresses:
 * where a limit (ulimit -v) allows fewer, even looking at `fetch`, `Headers` or `Response` ends the process.
 */
export function canFetch(): boolean {
  const { Memory } = (globalThis as unknown as WithWasm).WebAssembly;
  try {
    new Memory({ initial: 1 });
    return true;
  } catch {
    return false;
  }
}
