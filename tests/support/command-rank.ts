/** A process of {@link CommandRanks}: runs a command in the environment it is told, and answers what came of it. */
import { runHere } from './command-here.js';
import type { CommandOrder } from './command-ranks.js';

process.on('message', async ({ args, env }: CommandOrder) => {
  Object.assign(process.env, env);
  process.send!(await runHere(args));
});
process.on('disconnect', () => process.exit());
process.send!('ready');
