/** Whether something listens at a host and port. libtorch would take several timeouts to say that nothing does. */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { DistributedError } from '../errors.js';

const NO_ANSWER = 'no answer';

/**
 * Waits until a TCP connection to the host succeeds, closes it and returns the address of this machine that it had.
 * `log` hears why it does not succeed at once. Errors: DistributedError with the last reason after `seconds`.
 */
export async function reachHost(
  host: string,
  port: number,
  seconds: number,
  log: ((line: string) => void) | undefined,
): Promise<string | undefined> {
  const end = performance.now() + seconds * 1000;
  let why: string | undefined;
  for (;;) {
    const tried = await tryOnce(host, port, Math.max(1, end - performance.now()));
    if ('address' in tried) return tried.address;
    if (why === undefined) log?.(`waiting up to ${seconds} s for the store at ${host}:${port}: ${tried.why}`);
    // The last try may have had too little time to find what the ones before have found.
    if (why === undefined || tried.why !== NO_ANSWER) why = tried.why;
    if (performance.now() + 100 >= end) throw unreachable(host, port, seconds, why);
    await sleep(100);
  }
}

function unreachable(host: string, port: number, seconds: number, why: string): DistributedError {
  const advice = /ENOTFOUND|EAI_AGAIN/.test(why)
    ? 'Is the name of the host right?'
    : 'Does the process that holds the store run, is the port the one it has, and does no firewall lie between?';
  const words = `there is no store within ${seconds} s: ${why}. ${advice}`;
  return new DistributedError('TcpStore.open', `(${host}:${port})`, words);
}

function tryOnce(
  host: string,
  port: number,
  milliseconds: number,
): Promise<{ address: string | undefined } | { why: string }> {
  return new Promise((done) => {
    const socket = connect({ host, port, timeout: milliseconds });
    const end = (result: { address: string | undefined } | { why: string }) => {
      socket.destroy();
      done(result);
    };
    socket.once('connect', () => end({ address: socket.localAddress }));
    socket.once('timeout', () => end({ why: NO_ANSWER }));
    // Of a name with several addresses every one is tried, and the error has no message of its own.
    socket.once('error', (error: NodeJS.ErrnoException) =>
      end({ why: error.message || error.code || 'no connection' }),
    );
  });
}

/** Timeouts of at least a millisecond and at most a day, for libtorch counts in whole milliseconds. */
export function checkedSeconds(seconds: number): number {
  if (seconds >= 0.001 && seconds <= 86_400) return seconds;
  throw new RangeError(`timeoutSeconds is a number from 0.001 to 86400, got ${seconds}`);
}
