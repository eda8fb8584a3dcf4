/// <reference types="node" preserve="true" />
/** The dashboard: an HTTP server over run folders. Loads no torch. */
export type * from './api.js';
export { isLoopback } from './guard.js';
export { type Dashboard, type ServeOptions, serveDashboard } from './server.js';
