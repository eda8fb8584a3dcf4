// Compiles the addon for publication and writes the package of this platform: npx tsx scripts/prebuild.ts [FOLDER].
import { join } from 'node:path';
import { repositoryRoot } from '../tests/support/repository.js';
import { stagePrebuilt } from './stage-packages.js';

const [folder = join(repositoryRoot, 'build/torch-linux-x64-gnu')] = process.argv.slice(2);
console.log(await stagePrebuilt(folder));
