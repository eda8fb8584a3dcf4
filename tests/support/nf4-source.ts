import { closeSync } from 'node:fs';
import { openSync, openWeights, readStored } from '#reanchor/formats/index.js';
import type { ConfigJson } from '#reanchor/models/causal-lm.js';
import type { Nf4Source } from '#reanchor/models/nf4-folder.js';

/** The checkpoint of a folder, from which each tensor is read for itself. */
export async function nf4Source(folder: string, configJson: ConfigJson): Promise<Nf4Source> {
  return {
    checkpoint: await openWeights(folder),
    configJson,
    bytes(entry) {
      const handle = openSync(entry.file);
      try {
        return readStored(handle, entry, entry.file);
      } finally {
        closeSync(handle);
      }
    },
  };
}
