/** A process of the tests of process groups: runs, by name, what rank-tasks.ts holds, and answers with the result. */
import { tidy } from '../scope.js';
import { type Answer, type Order, tasks } from './rank-tasks.js';

process.on('message', async ({ id, task, rank, args }: Order) => {
  const begin = performance.now();
  let answer: Answer;
  try {
    answer = { id, value: await (tasks[task] as (...args: unknown[]) => unknown)(rank, ...args), seconds: 0 };
  } catch (error) {
    const { name, message, peers } = error as Error & { peers?: number[] };
    answer = { id, error: { name, message, peers }, seconds: 0 };
  }
  process.send!({ ...answer, seconds: (performance.now() - begin) / 1000 });
});
// Nothing is to outlive the test that started it.
process.on('disconnect', () => process.exit());
tidy(() => {});
process.send!('ready');
