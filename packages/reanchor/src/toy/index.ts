export { runToy, type ToyOptions, type ToyRun } from './experiment.js';
export { curves, summarise, toyPlots } from './summary.js';
export { toyVariants } from './variants.js';
