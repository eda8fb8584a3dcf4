/**
 * Stores: a few texts that processes share, by which they find each other. A process group needs one; programs may keep
 * words of their own there too.
 *
 * Every wait ends: after `timeoutSeconds` it is an error. The event loop turns meanwhile.
 */
import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { DistributedError, wordsOf } from '../errors.js';
import { native } from '../native.js';
import { checkedSeconds, reachHost } from './reach.js';

const LOOPBACK = '127.0.0.1';

/** What every store may be told. */
export interface StoreOptions {
  /** How long to wait for the store itself, and for a key of it. Default: 300. */
  timeoutSeconds?: number | undefined;
}

/** Texts by keys that several processes share: how they find each other before they have a group. */
export abstract class Store implements Disposable {
  /**
   * @param id the addon's number of the store
   * @param place where it is, for messages
   * @param localAddress the address of this machine by which the store is reached, if that is known: peers reach this
   *   process by it too
   */
  protected constructor(
    readonly id: number,
    readonly place: string,
    readonly timeoutSeconds: number,
    readonly localAddress: string | undefined,
  ) {}

  /**
   * Writes a text under a key, for all processes. Errors: DistributedError when the store is known to be gone; it does
   * not answer to this, so that the next question may be the first to tell.
   */
  set(key: string, text: string): void {
    this.ask('set', key, () => native().storeSet(this.id, key, text));
  }

  /** Whether some process has set the key. */
  has(key: string): boolean {
    return this.ask('has', key, () => native().storeHas(this.id, key));
  }

  /** Adds to a number that begins at 0, and returns the sum: every process gets another one. */
  add(key: string, amount: number): number {
    return this.ask('add', key, () => native().storeAdd(this.id, key, amount));
  }

  /** The text of a key, once some process has set it. Errors: DistributedError when none does in time. */
  async get(key: string): Promise<string> {
    const missing = await this.wait([key]);
    if (missing.length === 0) return this.ask('get', key, () => native().storeGet(this.id, key));
    throw new DistributedError('get', `(${key})`, `no process has set it within ${this.timeoutSeconds} s`);
  }

  /** Waits until all keys are set; returns those that are not after `timeoutSeconds`. */
  async wait(keys: readonly string[], timeoutSeconds: number = this.timeoutSeconds): Promise<string[]> {
    const end = performance.now() + timeoutSeconds * 1000;
    let missing = keys.filter((key) => !this.has(key));
    for (let pause = 2; missing.length > 0 && performance.now() < end; pause = Math.min(2 * pause, 50)) {
      await sleep(Math.min(pause, Math.max(1, end - performance.now())));
      missing = missing.filter((key) => !this.has(key));
    }
    return missing;
  }

  /** Gives the connection back; a store that this process holds is gone for all then. Closing twice is harmless. */
  close(): void {
    native().closeStore(this.id);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  private ask<T>(op: string, key: string, call: () => T): T {
    try {
      return call();
    } catch (cause) {
      throw new DistributedError(op, `(${key})`, `the store at ${this.place}: ${wordsOf(cause)}`, { cause });
    }
  }
}

/** Where {@link TcpStore.host} listens. */
export interface HostOptions extends StoreOptions {
  /**
   * The address to listen on, by which the others reach it. Whoever reaches it can read and write: the default,
   * 127.0.0.1, is for processes of this machine.
   */
  host?: string | undefined;
  /** Default: 0, a free one. */
  port?: number | undefined;
}

/** The store that {@link TcpStore.open} looks for. */
export interface OpenOptions extends StoreOptions {
  host: string;
  port: number;
  /** Hears a line when the store is not there at once. */
  log?: ((line: string) => void) | undefined;
}

/** A store that one process holds, for processes of any number of machines. */
export class TcpStore extends Store {
  private constructor(
    id: number,
    readonly host: string,
    readonly port: number,
    timeoutSeconds: number,
    localAddress: string | undefined,
  ) {
    super(id, `${host}:${port}`, timeoutSeconds, localAddress);
  }

  /**
   * Holds a store; it answers from a thread of its own, whatever this process does. `port` of the result is the one to
   * tell the others. Errors: DistributedError when the address cannot be listened on.
   */
  static host({ host = LOOPBACK, port = 0, timeoutSeconds = 300 }: HostOptions = {}): TcpStore {
    checkedPort(port, 0);
    const open = () => native().openTcpStore(host, port, true, checkedSeconds(timeoutSeconds) * 1000);
    const id = opened('TcpStore.host', `${host}:${port}`, open);
    // Of a store on every address it is not known which of them the peers reach.
    const everywhere = host === '0.0.0.0' || host === '::';
    return new TcpStore(id, host, native().tcpStorePort(id), timeoutSeconds, everywhere ? undefined : host);
  }

  /**
   * Connects to the store that another process holds, or will hold within `timeoutSeconds`. Errors: DistributedError
   * with the last reason why it could not be reached.
   */
  static async open({ host, port, timeoutSeconds = 300, log }: OpenOptions): Promise<TcpStore> {
    checkedPort(port, 1);
    const localAddress = await reachHost(host, port, checkedSeconds(timeoutSeconds), log);
    const open = () => native().openTcpStore(host, port, false, timeoutSeconds * 1000);
    return new TcpStore(opened('TcpStore.open', `${host}:${port}`, open), host, port, timeoutSeconds, localAddress);
  }
}

/** A store in a file, for processes of one machine. Nobody removes the file, and it must not be there from before. */
export class FileStore extends Store {
  private constructor(id: number, path: string, timeoutSeconds: number) {
    super(id, path, timeoutSeconds, LOOPBACK);
  }

  /** Opens the store, and makes the file unless another process was first. Errors: DistributedError where it cannot. */
  static open(path: string, { timeoutSeconds = 300 }: StoreOptions = {}): FileStore {
    checkedSeconds(timeoutSeconds);
    const open = () => {
      // libtorch would try for five minutes to make a file that cannot be made.
      closeSync(openSync(path, 'a'));
      return native().openFileStore(path, timeoutSeconds * 1000);
    };
    return new FileStore(opened('FileStore.open', path, open), path, timeoutSeconds);
  }
}

function opened(op: string, place: string, open: () => number): number {
  try {
    return open();
  } catch (cause) {
    throw new DistributedError(op, `(${place})`, wordsOf(cause), { cause });
  }
}

function checkedPort(port: number, least: number): void {
  if (Number.isInteger(port) && port >= least && port < 65536) return;
  throw new RangeError(`a port is an integer from ${least} to 65535, got ${port}`);
}
