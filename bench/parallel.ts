// DPO on one process of two threads, and on two processes of one thread each with nothing and with all divided, in
// turns round by round. Prints a Markdown table; the ratio is that of the times of a round, with the least and most.
//
//   npx tsx bench/parallel.ts [rounds = 5] [pairs a step = 4] [tiny]
//
// What is sent is as much for a step of many pairs as for one of few. `tiny` takes the model and the rows of the tests,
// to see that it works.
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { holdWorldStore, type ShardMode } from 'reanchor';
import { type TrainCase, trainCases } from './cases.js';
import { benchModel, benchRows } from './materials.js';
import type { OursOptions } from './ours.js';
import { oursPlayer, oursProgram, threadsEnv } from './players.js';
import { median, type Player } from './turns.js';

const [rounds = 5, pairs = trainCases.dpo!.rows] = process.argv.slice(2, 4).map(Number);
const isTiny = process.argv[4] === 'tiny';

const options = { ...(await materials()), rounds: rounds + 1 };
const store = holdWorldStore(0);
const others: ChildProcess[] = [];
const sides = [
  { title: 'one process, 2 threads', player: oursPlayer({ ...options, threads: 2 }), seconds: [] as number[] },
  { title: 'two processes, nothing divided', player: pair('none'), seconds: [] as number[] },
  { title: 'two processes, `parameters` divided', player: pair('parameters'), seconds: [] as number[] },
];
try {
  for (const { player } of sides) await player.ready();
  for (let round = 0; round <= rounds; round++) {
    for (const { title, player, seconds } of sides) {
      const result = await player.play();
      if (round > 0) seconds.push(result.seconds);
      process.stderr.write(`${title} ${round}: ${result.seconds.toFixed(2)} s\n`);
    }
  }
} finally {
  for (const other of others) other.kill('SIGKILL');
  for (const { player } of sides) player.stop();
  store.close();
}

const { one } = options;
const alone = sides[0]!.seconds;
console.log(
  `| ${one.title}, ${one.rows} pairs a step | rows/s, median | times as fast as one process | least, most |\n|---|---|---|---|`,
);
for (const { title, seconds } of sides) {
  const ratios = seconds.map((value, round) => alone[round]! / value);
  const cells = [
    ((one.rows * one.steps) / median(seconds)).toFixed(2),
    median(ratios).toFixed(2),
    `${Math.min(...ratios).toFixed(2)}, ${Math.max(...ratios).toFixed(2)}`,
  ];
  console.log(`| ${title} | ${cells.join(' | ')} |`);
}

async function materials(): Promise<Pick<OursOptions, 'one' | 'model' | 'rows'>> {
  if (isTiny) {
    const fixtures = fileURLToPath(new URL('../tests/fixtures', import.meta.url));
    const one: TrainCase = {
      ...trainCases.dpo!,
      title: 'DPO, the model of the tests',
      rows: pairs,
      maxLength: 96,
      steps: 2,
    };
    return { one, model: `${fixtures}/models/llama-tiny`, rows: `${fixtures}/text/pairs.jsonl` };
  }
  const one: TrainCase = { ...trainCases.dpo!, rows: pairs, steps: Math.max(1, Math.floor(16 / pairs)) };
  return {
    one,
    model: await benchModel(one.model),
    rows: await benchRows(one, one.rows * one.steps * (rounds + 1)),
  };
}

/** Two processes of one thread, of which the first one plays. */
function pair(shard: ShardMode): Player {
  const specOf = (rank: number): OursOptions => ({
    ...{ ...options, threads: 1, shard },
    place: {
      ...{ rank, size: 2, localRank: rank, host: '127.0.0.1', port: store.port },
      ...{ storeHeldBy: 'launcher', storePrefix: shard },
    },
  });
  const other = specOf(1);
  const env = { ...process.env, ...threadsEnv(other) };
  others.push(spawn(process.execPath, oursProgram(other), { stdio: ['ignore', 'ignore', 'inherit'], env }));
  return oursPlayer(specOf(0));
}
