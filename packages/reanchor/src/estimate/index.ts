export { answerPack } from './answers.js';
export { type ModelFiles, modelFiles } from './disk.js';
export { type EstimateOptions, type Expected, estimateRun, type RunEstimate, shapeSource } from './estimate.js';
export { backwardFlops, type Flops, flopsFormula, forwardFlops } from './flops.js';
export type { MicroBatchLayout, PackLayout } from './layout.js';
export { type DeviceMemory, type HeadMemory, type MemoryParts, totalMemory } from './memory.js';
