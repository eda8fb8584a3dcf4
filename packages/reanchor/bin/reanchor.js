#!/usr/bin/env node
// The launcher is plain JavaScript and always present, so that npm can link the command before the first build.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import('../dist/cli/main.js').then(
  ({ main }) => main(process.argv),
  (error) => {
    if (error?.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    const workspace = fileURLToPath(new URL('../../../', import.meta.url));
    const isClone = existsSync(`${workspace}tsconfig.base.json`);
    const isBuilt = existsSync(new URL('../dist/cli/main.js', import.meta.url));
    const next = !isClone
      ? 'install it again: npm install reanchor'
      : `run in ${workspace}: ${isBuilt ? 'npm ci' : 'npm run build && npm run setup'}`;
    console.error(`error: reanchor is not ${isBuilt ? 'whole' : 'built'} (${error.message}): ${next}`);
    process.exitCode = 1;
  },
);
