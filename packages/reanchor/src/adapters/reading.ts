import type { AdapterFile } from './adapter-file.js';
import type { AdapterConfig } from './config.js';
import type { ModuleNames } from './names.js';
import type { AdaptableNetwork } from './network.js';

/** What is known while an adapter's tensors are sorted. */
export interface Reading {
  network: AdaptableNetwork;
  config: AdapterConfig;
  configFile: string;
  stored: AdapterFile;
  names: ModuleNames;
}
