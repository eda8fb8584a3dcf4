export { type World, worldOf } from './world.js';
