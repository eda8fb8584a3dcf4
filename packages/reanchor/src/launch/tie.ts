/** What ties a process to the one that has started it with others: its stdin, closed once that one has gone. */
import { Worker } from 'node:worker_threads';
import { UserError } from '../errors.js';

/** Seconds in which a process ends by itself, as by a last checkpoint, before it is ended. */
export const patienceSeconds = 10;

/**
 * Reads stdin in a thread of its own: the process may stand in a collective of libtorch, where its event loop does not
 * turn, and has to end all the same.
 */
const thread = `
const { parentPort, workerData } = require('node:worker_threads');
const { Socket } = require('node:net');
const stdin = new Socket({ fd: 0, readable: true, writable: false });
stdin.on('error', () => {});
stdin.on('close', () => {
  parentPort.postMessage('closed');
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), workerData);
});
stdin.resume();
`;

/**
 * Ties this process to the one that has started it by `--processes`: the signal is aborted when that one has gone,
 * killed or not, or when another process has failed; after `seconds` (10 when left out) this one is ended, whatever it
 * does.
 */
export function tieToLauncher(seconds = patienceSeconds): AbortSignal {
  const stop = new AbortController();
  const worker = new Worker(thread, { eval: true, workerData: seconds * 1000, execArgv: [] });
  worker.once('message', () =>
    stop.abort(new UserError('stopped: another process has failed, or the one that started them has ended')),
  );
  // The process does not wait for it.
  worker.unref();
  return stop.signal;
}
