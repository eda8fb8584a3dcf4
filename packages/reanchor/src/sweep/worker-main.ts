/** The program of a sweep's processes. */
import { runWorker } from './worker.js';

process.exitCode = await runWorker();
// What is left open, its stdin say, is not to keep it.
process.exit();
