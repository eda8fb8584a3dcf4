export { type QuickstartOptions, type QuickstartResult, quickstart } from './quickstart.js';
export { type QuickstartSettings, quickstartSettings } from './settings.js';
