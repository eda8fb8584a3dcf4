import type { ProcessGroup } from '@reanchor/torch';

/** The value of JSON that rank 0 gives, on every process. All have to call it. Errors: DistributedError. */
export function tell<T>(world: ProcessGroup, value?: T): T {
  if (world.world === 1) return value as T;
  const own = world.rank === 0 ? Buffer.from(JSON.stringify({ value })) : Buffer.alloc(0);
  const [length] = world.sum(Float64Array.of(own.length));
  const bytes = new Float64Array(length!);
  bytes.set(own);
  return JSON.parse(Buffer.from(Uint8Array.from(world.sum(bytes))).toString()).value as T;
}
