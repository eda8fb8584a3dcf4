/** Adapters in the folders of PEFT: what their files say, and writing them. Loads no torch. */

export { type AdapterConfig, parseAdapterConfig, readAdapterConfig } from './config.js';
export { adapterConfigJson, rewrittenConfigJson } from './config-json.js';
export { type LowRankShape, scaleOf } from './low-rank-shape.js';
export { factorName, prefix as adapterPrefix } from './names.js';
export { type AdaptableNetwork, headParameter, moduleOf } from './network.js';
export { otherToolsNotes } from './other-tools.js';
export { type BaseQuantization, baseQuantization } from './quantization.js';
export { readAdapter, type StoredAdapter } from './read.js';
export { targetModules } from './targets.js';
export { writeAdapter } from './write.js';
