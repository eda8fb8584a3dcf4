/**
 * The tree MDP of the paper's toy experiment, after Rafailov et al. 2024 (arXiv 2406.02900): from a start state three
 * actions, three times, to one of 27 leaves. It stands for the generation of three tokens.
 */
import { shuffled } from '../random.js';

/** Keeps these draws apart from others of the same seed. */
const toyKey = 4;

export const actions = 3;
export const horizon = 3;
export const trajectories = actions ** horizon;

/**
 * The preference data of one seed. Trajectories are numbered by their actions read as base 3, the first one highest.
 */
export interface Preferences {
  /** Of each pair, by index. */
  chosen: number[];
  rejected: number[];
}

/** `pairs` chosen and as many rejected trajectories, all distinct, drawn by the seed. */
export function drawPreferences(seed: number, pairs: number): Preferences {
  const order = shuffled(trajectories, toyKey, seed);
  return { chosen: order.slice(0, pairs), rejected: order.slice(pairs, 2 * pairs) };
}

/** What the SFT policy imitates: 0.7 uniform over the preference data + 0.3 uniform over all trajectories. */
export function sftTarget({ chosen, rejected }: Preferences): number[] {
  const inDomain = new Set([...chosen, ...rejected]);
  return Array.from(
    { length: trajectories },
    (_, i) => 0.3 / trajectories + (inDomain.has(i) ? 0.7 / inDomain.size : 0),
  );
}
