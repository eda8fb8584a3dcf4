/** Adapters in the folders of PEFT: what their files say, and writing them. Loads no torch. */
export { type AdapterConfig, parseAdapterConfig, readAdapterConfig } from './config.js';
export { type LowRankShape, scaleOf } from './low-rank-shape.js';
export { factorName } from './names.js';
export { type AdaptableLinear, type AdaptableNetwork, headParameter } from './network.js';
export { targetModules } from './targets.js';
