/** Processes that compute together: stores, by which they find each other, and groups with collectives. */
export type { Reduce } from './collective.js';
export type { Checks, Pending } from './connection.js';
export { type Backend, backends, type GroupOptions, ProcessGroup } from './process-group.js';
export { resizeStorage, untracked } from './storage.js';
export { FileStore, type HostOptions, type OpenOptions, Store, type StoreOptions, TcpStore } from './store.js';
