import type { ToyVariant } from './experiment.js';

const soft = (alpha: number): ToyVariant => ({ name: `soft alpha = ${alpha}`, rule: { update: 'soft', alpha } });
const hard = (tau: number): ToyVariant => ({ name: `hard tau = ${tau}`, rule: { update: 'hard', tau } });
const vanilla: ToyVariant = { name: 'vanilla', rule: { update: 'fixed' } };

/** The references that are compared: four of them, or all of the specification. */
export const toyVariants: Readonly<Record<'few' | 'all', readonly ToyVariant[]>> = {
  few: [vanilla, soft(0.6), hard(64), hard(1024)],
  all: [vanilla, ...[0.01, 0.1, 0.3, 0.6, 0.9].map(soft), ...[16, 64, 256, 1024].map(hard)],
};
