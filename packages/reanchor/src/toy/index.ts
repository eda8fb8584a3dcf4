export { runToy, type ToyMethod, type ToyOptions, type ToyRecord, type ToyRun, type ToyVariant } from './experiment.js';
export { curves, summarise, type ToySummary, toyPlots } from './summary.js';
export { toyVariants } from './variants.js';
