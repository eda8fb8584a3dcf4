/** Processes that compute together: stores, by which they find each other, and memory that comes and goes. */
export { resizeStorage, untracked } from './storage.js';
export { FileStore, type HostOptions, type OpenOptions, Store, type StoreOptions, TcpStore } from './store.js';
