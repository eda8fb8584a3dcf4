import { type Device, ProcessGroup, TcpStore } from '@reanchor/torch';
import { chooseDevice } from '../models/device.js';
import type { Recipe } from '../recipe/index.js';

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

/** Waits for the other processes of a run, and connects them. Errors: DistributedError, UserError of the device. */
export async function openWorld(
  { rank, size, localRank, host, port, storeHeldBy, storePrefix }: Place,
  { device: setting, parallel }: Pick<Recipe, 'device' | 'parallel'>,
): Promise<OpenWorld> {
  const { timeoutSeconds } = parallel;
  const chosen = chooseDevice(setting);
  const device = chosen === 'cpu' ? chosen : chooseDevice(`cuda:${localRank}`);
  const isHolder = storeHeldBy === 'rank 0' && rank === 0;
  const store = isHolder ? await TcpStore.host({ host, port }) : await TcpStore.open({ host, port, timeoutSeconds });
  try {
    const backend = device === 'cpu' ? 'gloo' : 'nccl';
    const world = await ProcessGroup.open({
      ...{ store, rank, world: size, name: storePrefix, timeoutSeconds, backend },
      device: device === 'cpu' ? undefined : device,
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

/** The store of a run's processes, kept by one that does not train; port 0 is a free one, for those of this machine. */
export const holdWorldStore = (port: number): TcpStore =>
  TcpStore.host({ host: port === 0 ? '127.0.0.1' : '0.0.0.0', port });
