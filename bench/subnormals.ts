// The time of a step of a run that saturates, with numbers next to nothing (subnormal ones) kept and taken for 0: ours,
// and TRL as it is and as one who knows of torch.set_flush_denormal would have it. TR-DPO, soft, on the tests' model.
//
//   npx tsx bench/subnormals.ts [rounds = 8] [threads = 1]
//
// A round is 500 steps; the sides take turns. REANCHOR_PYTHON names a Python that has TRL; without it ours run alone.
// Prints milliseconds of processor time a step as Markdown.
import { fileURLToPath } from 'node:url';
import type { TrainCase } from './cases.js';
import type { OursOptions } from './ours.js';
import { oursPlayer, rivalPlayer } from './players.js';

const [rounds = 8, threads = 1] = process.argv.slice(2).map(Number);
const fixtures = fileURLToPath(new URL('../tests/fixtures', import.meta.url));
const one: TrainCase = {
  ...{ title: 'TR-DPO soft', model: 'smollm2-135m', method: 'dpo', data: 'hh', update: { alpha: 0.6, tau: 1 } },
  ...{ rows: 8, maxLength: 96, lr: 1e-3, steps: 500 },
};
const spec: OursOptions = {
  ...{ one, model: `${fixtures}/models/llama-tiny`, rows: `${fixtures}/text/pairs.jsonl`, threads, rounds },
};
const python = process.env.REANCHOR_PYTHON;

const sides = [
  { title: 'ours, taken for 0 (as it is)', player: oursPlayer({ ...spec, flush: true }) },
  { title: 'ours, kept', player: oursPlayer({ ...spec, flush: false }) },
  ...(python
    ? [
        { title: 'TRL, kept (as it is)', player: rivalPlayer(python, { ...spec, flush: false }) },
        { title: 'TRL, taken for 0', player: rivalPlayer(python, { ...spec, flush: true }) },
      ]
    : []),
].map((side) => ({ ...side, ms: [] as string[] }));
try {
  for (const { player } of sides) await player.ready();
  for (let round = 1; round <= rounds; round++) {
    for (const { title, player, ms } of sides) {
      ms.push(((1000 * (await player.play()).cpuSeconds) / one.steps).toFixed(1));
      process.stderr.write(`${title}, steps to ${round * one.steps}: ${ms.at(-1)} ms\n`);
    }
  }
} finally {
  for (const { player } of sides) player.stop();
}
const ends = Array.from({ length: rounds }, (_, round) => (round + 1) * one.steps);
console.log(`| processor time of a step, ms, up to step | ${ends.join(' | ')} |\n|---|${'---|'.repeat(rounds)}`);
for (const { title, ms } of sides) console.log(`| ${title} | ${ms.join(' | ')} |`);
