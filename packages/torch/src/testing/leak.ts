import { memory } from '../memory.js';

/**
 * Runs `fn` a few times to warm up, then `times` times more, and throws when more tensors are alive after than before.
 * Call it outside the scopes that `fn` leaves its tensors to.
 */
export function expectNoLeak(fn: () => void, times = 100): void {
  for (let i = 0; i < 3; i++) fn();
  const before = memory().liveTensors;
  for (let i = 0; i < times; i++) fn();
  const after = memory().liveTensors;
  if (after > before) throw new Error(`${after - before} tensors were left alive by ${times} runs`);
}
