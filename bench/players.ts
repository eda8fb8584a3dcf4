/** The two sides of a training benchmark as children that take turns; see turns.ts. */
import { fileURLToPath } from 'node:url';
import type { OursOptions } from './ours.js';
import { Player } from './turns.js';

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** The program of our side and its environment, for those that train beside the one that plays. */
export const oursProgram = (spec: OursOptions): string[] => ['--import', 'tsx', here('ours.ts'), JSON.stringify(spec)];
export const threadsEnv = ({ threads }: OursOptions) => ({
  OMP_WAIT_POLICY: 'PASSIVE',
  OMP_NUM_THREADS: String(threads),
});

/** Our side. */
export const oursPlayer = (spec: OursOptions): Player =>
  new Player(process.execPath, oursProgram(spec), threadsEnv(spec));

/** TRL's, by a Python that has it. */
export const rivalPlayer = (python: string, spec: OursOptions): Player =>
  new Player(python, [here('rival.py'), JSON.stringify(spec)], threadsEnv(spec));
