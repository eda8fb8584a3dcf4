export { loadCorpus } from './corpus.js';
export { type Gold, loadGold } from './gold.js';
export { type QuickstartOptions, type QuickstartResult, quickstart } from './quickstart.js';
export { type QuickstartSettings, quickstartSettings } from './settings.js';
