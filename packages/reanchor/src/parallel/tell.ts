import type { ProcessGroup } from '@reanchor/torch';
import { exchange } from './exchange.js';

/** The value of JSON that rank 0 gives, on every process. All have to call it. Errors: DistributedError. */
export function tell<T>(world: ProcessGroup, value?: T): T {
  if (world.world === 1) return value as T;
  const own = world.rank === 0 ? Buffer.from(JSON.stringify({ value })) : Buffer.alloc(0);
  const [length] = world.sum(Float64Array.of(own.length));
  const bytes = new Float64Array(length!);
  bytes.set(own);
  return JSON.parse(Buffer.from(Uint8Array.from(world.sum(bytes))).toString()).value as T;
}

/** The values of JSON that the processes give, by rank, on every process. All have to call it. Errors: DistributedError. */
export function tellAll<T>(world: ProcessGroup, value: T): T[] {
  const own = Buffer.from(JSON.stringify({ value }));
  const onlyOwn = (numbers: readonly number[]) =>
    Array.from({ length: world.world }, (_, rank) => (rank === world.rank ? numbers : undefined));
  const lengths = exchange(world, onlyOwn([own.length]), Array(world.world).fill(1)).flat();
  return exchange(world, onlyOwn([...own]), lengths).map(
    (bytes) => JSON.parse(Buffer.from(bytes).toString()).value as T,
  );
}
