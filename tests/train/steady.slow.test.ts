// 20,000 optimizer steps: nothing accumulates, and none takes longer than the first ones.
import { readFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { memory } from '@reanchor/torch';
import { expect, test } from 'vitest';
import { tinyTrainer } from '../support/training.js';

const steps = 20_000;
/** Steps of which each number is one. */
const block = 500;

/** Megabytes that no file holds, in memory or swapped out: of mapped files the system takes some back. */
function ownMegabytes(): number {
  const status = readFileSync('/proc/self/status', 'utf8');
  const of = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)![1]);
  return (of('RssAnon') + of('VmSwap')) / 1024;
}

test.skipIf(process.platform !== 'linux')(
  'live tensors, resident memory and the time of a step are flat over 20,000 steps',
  async () => {
    // It saturates: probabilities go to 0 and 1, and what is left of gradients would be subnormal numbers.
    using training = await tinyTrainer({ update: 'soft', alpha: 0.6 });
    const live = new Set<number>();
    const resident: number[] = [];
    const heap: number[] = [];
    const milliseconds: number[] = [];
    let begun = process.cpuUsage();
    for (let i = 0; i < steps; i++) {
      training.step(i);
      await setImmediate();
      if (i % block !== block - 1) continue;
      const { user, system } = process.cpuUsage(begun);
      milliseconds.push((user + system) / 1000 / block);
      const { heapTotal } = process.memoryUsage();
      live.add(memory().liveTensors);
      heap.push(heapTotal / 2 ** 20);
      // V8's heap grows with garbage until it looks for it: what it holds is bounded apart from the rest.
      resident.push(ownMegabytes() - heapTotal / 2 ** 20);
      begun = process.cpuUsage();
    }
    const [first, last] = [milliseconds.slice(1, 5), milliseconds.slice(-4)].map((some) => Math.min(...some)) as [
      number,
      number,
    ];
    const perThousand = slope(resident.slice(resident.length / 2)) * (1000 / block);
    console.log(
      `live tensors ${[...live]}; a step ${first.toFixed(2)} ms of processor time at first, ${last.toFixed(2)} at last; ` +
        `resident memory without V8's heap ${resident.map((mb) => mb.toFixed(1)).join(' ')} MB, in the second half ` +
        `${perThousand.toFixed(3)} MB more in 1,000 steps; V8's heap ${Math.max(...heap).toFixed(1)} MB at most`,
    );
    expect(live.size).toBe(1);
    expect(last / first).toBeLessThan(1.1);
    // 400 bytes of a step that stay would be 0.4 MB. The C library's heap grows by jumps: by 0.00 to 0.25 MB in three
    // runs, of which one ended lower than it began.
    expect(perThousand).toBeLessThan(0.4);
    expect(Math.max(...heap)).toBeLessThan(128);
  },
);

/** The median of the slopes between all pairs of values (Theil and Sen), which a jump does not decide. */
function slope(values: readonly number[]): number {
  const slopes = values.flatMap((a, i) => values.slice(i + 1).map((b, k) => (b - a) / (k + 1)));
  return slopes.sort((a, b) => a - b)[slopes.length >> 1]!;
}
