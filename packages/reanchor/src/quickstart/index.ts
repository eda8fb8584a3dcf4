/** The experiment that a newcomer runs first: a study made by the package, and what its numbers say. */
export { type QuickstartOptions, type QuickstartResult, quickstart } from './quickstart.js';
export type { Difference } from './verdict.js';
