import { type Backend, type Device, ProcessGroup, TcpStore } from '@reanchor/torch';
import { chooseDevice } from '../models/device.js';

/** Where a process stands among those that make a run: what a launcher says. */
export interface Place {
  rank: number;
  size: number;
  /** The number of this process among those of this machine, and of its GPU. */
  localRank: number;
  /** Of the store in which they find each other. */
  host: string;
  port: number;
  storeHeldBy: 'launcher' | 'rank 0';
  storePrefix: string;
}

/** What a run of several processes needs of this one, connected. */
export interface OpenWorld extends Disposable {
  world: ProcessGroup;
  /** On GPUs that of this process. */
  device: Device;
}

export interface JoinOptions {
  /** As in a recipe. Of several GPUs each process takes that of its number on its machine. Default: auto. */
  device?: string | undefined;
  /** How long this process waits for the others whenever they meet, and at the beginning. */
  timeoutSeconds: number;
  /** The same at the beginning, where it is another time. */
  openSeconds?: number | undefined;
  /** What tensors are sent by. Default: nccl where they are on GPUs, gloo elsewhere. */
  backend?: Backend | undefined;
}

/** Waits for the other processes of a run, and connects them. Errors: DistributedError, UserError of the device. */
export async function openWorld(
  { rank, size, localRank, host, port, storeHeldBy, storePrefix }: Place,
  { device: setting, timeoutSeconds, openSeconds = timeoutSeconds, ...options }: JoinOptions,
): Promise<OpenWorld> {
  const chosen = chooseDevice(setting);
  const device = chosen === 'cpu' ? chosen : chooseDevice(`cuda:${localRank}`);
  const { backend = device === 'cpu' ? 'gloo' : 'nccl' } = options;
  const isHolder = storeHeldBy === 'rank 0' && rank === 0;
  const reach = { host, port, timeoutSeconds: openSeconds };
  const store = isHolder ? await TcpStore.host({ host, port }) : await TcpStore.open(reach);
  try {
    const world = await ProcessGroup.open({
      ...{ store, rank, world: size, name: groupName(storePrefix), timeoutSeconds, openSeconds, backend },
      device: backend === 'nccl' && device !== 'cpu' ? device : undefined,
    });
    return {
      world,
      device,
      [Symbol.dispose]() {
        world.close();
        store.close();
      },
    };
  } catch (error) {
    store.close();
    throw error;
  }
}

/** A prefix as the name of a group, which takes letters, digits and `. _ -` alone. */
const groupName = (prefix: string) => prefix.replaceAll(/[^\w.-]/g, '-');

/** The store of a run's processes, kept by one that does not train; port 0 is a free one, for those of this machine. */
export const holdWorldStore = (port: number): TcpStore =>
  TcpStore.host({ host: port === 0 ? '127.0.0.1' : '0.0.0.0', port });
