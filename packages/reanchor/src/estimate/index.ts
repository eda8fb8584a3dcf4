export { type EstimateOptions, estimateRun, type RunEstimate } from './estimate.js';
export { backwardFlops, type Flops, flopsFormula, forwardFlops } from './flops.js';
export type { MicroBatchLayout, PackLayout } from './layout.js';
export { type DeviceMemory, type HeadMemory, type MemoryParts, totalMemory } from './memory.js';
