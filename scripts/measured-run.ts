// `reanchor train RECIPE --out FOLDER --processes N`, of which rank 0 prints in JSON what its tensors take:
//
//   npx tsx scripts/measured-run.ts RECIPE FOLDER N
//
// { "held": bytes between steps, the least of them; "peak": bytes at most }
import { cudaMemory, memory, resetPeak } from '@reanchor/torch';
import { configureProcess, holdWorldStore, openWorld, readRecipe, train } from 'reanchor';
import { runProcesses, tieToLauncher, type World, worldOf } from '#reanchor/launch/index.js';

const [file = '', out = '', count] = process.argv.slice(2);
const world = worldOf(process.env);
if (world?.launcher === 'reanchor') await beRank(world);
else {
  const note = (line: string) => console.error(line);
  process.exitCode = await runProcesses({ count: Number(count), holdStore: holdWorldStore, note });
}

async function beRank(place: World): Promise<void> {
  const recipe = readRecipe(file);
  configureProcess(recipe);
  using opened = await openWorld(place, { device: recipe.device, timeoutSeconds: recipe.parallel.timeoutSeconds });
  const { device, world } = opened;
  resetPeak();
  const now = () => {
    if (device !== 'cpu') return { held: cudaMemory(device).allocated, peak: cudaMemory(device).peakAllocated };
    const { tensorBytes: held, peakTensorBytes: peak } = memory();
    return { held, peak };
  };
  let held = Number.POSITIVE_INFINITY;
  await train({
    ...{ recipe, out, world, device, command: process.argv, signal: tieToLauncher() },
    onEvent({ type }) {
      if (type === 'step') held = Math.min(held, now().held);
    },
  });
  if (place.rank === 0) console.log(JSON.stringify({ held, peak: now().peak }));
}
