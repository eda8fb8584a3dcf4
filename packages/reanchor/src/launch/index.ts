export { runProcesses } from './processes.js';
export { tieToLauncher } from './tie.js';
export { type World, worldOf, worldVariable } from './world.js';
