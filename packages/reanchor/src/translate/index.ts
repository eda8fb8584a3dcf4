/** Configurations of other libraries (TRL, axolotl) as recipes. Loads no torch. */
export { asTrl, axolotlOptions } from './axolotl-options.js';
export { fromTrl } from './from-trl.js';
export { trainers } from './trl-defaults.js';
export { trlOptions } from './trl-options.js';
