/** What processes tell each other besides numbers: values of JSON. */
import type { ProcessGroup } from '@reanchor/torch';
import { exchange } from './exchange.js';

/**
 * The value of JSON that rank 0 gives, on every process; without a world this one is alone. All have to call it.
 * Errors: DistributedError.
 */
export function tell<T>(world: ProcessGroup | undefined, value?: T): T {
  if (world === undefined || world.world === 1) return value as T;
  return gather(world, world.rank === 0 ? value : undefined)[0] as T;
}

/**
 * The values of JSON that the processes give, by rank, on every process. All have to call it. Errors: DistributedError.
 */
export function gather<T>(world: ProcessGroup, value: T): T[] {
  if (world.world === 1) return [value];
  const own = Buffer.from(JSON.stringify({ value }));
  const ofRank = <Own>(given: Own) =>
    Array.from({ length: world.world }, (_, r) => (r === world.rank ? given : undefined));
  const lengths = exchange(world, ofRank([own.length]), Array(world.world).fill(1)).map(([length]) => length!);
  const counts = lengths.map((length) => Math.ceil(length / bytesPerNumber));
  return exchange(world, ofRank(numbersOf(own)), counts).map(
    (numbers, rank) => (JSON.parse(textOf(numbers, lengths[rank]!)) as { value: T }).value,
  );
}

/** Bytes that a number of float64 carries exactly. */
const bytesPerNumber = 6;

function numbersOf(bytes: Buffer): number[] {
  const padded = Buffer.alloc(Math.ceil(bytes.length / bytesPerNumber) * bytesPerNumber);
  bytes.copy(padded);
  return Array.from({ length: padded.length / bytesPerNumber }, (_, i) =>
    padded.readUIntLE(i * bytesPerNumber, bytesPerNumber),
  );
}

function textOf(numbers: readonly number[], length: number): string {
  const bytes = Buffer.alloc(numbers.length * bytesPerNumber);
  for (const [i, number] of numbers.entries()) bytes.writeUIntLE(number, i * bytesPerNumber, bytesPerNumber);
  return bytes.toString('utf8', 0, length);
}
