/** Training, beside TRL: the same rows in the same order, turn by turn. */
import { type TrainCase, trainCases } from './cases.js';
import { benchModel, benchRows } from './materials.js';
import { oursPlayer, rivalPlayer } from './players.js';
import type { Round } from './turns.js';

export interface TrainComparison {
  one: TrainCase;
  ours: Side;
  rival: Side | undefined;
}

interface Side {
  rowsPerSecond: number;
  /** Processor time of all rounds, of all threads: of use where others are at work on the machine. */
  cpuSeconds: number;
  peakMb: number;
  /** The mean loss of the last round. */
  loss: number;
}

/** Ours and, with `python`, TRL in turns: one round to warm up, then `rounds` that count. */
export async function benchTrain(
  name: string,
  { rounds, threads, python }: { rounds: number; threads: number; python: string | undefined },
): Promise<TrainComparison> {
  const one = trainCases[name];
  if (!one) throw new Error(`no training case ${name}; there are ${Object.keys(trainCases).join(', ')}`);
  const model = await benchModel(one.model);
  const rows = await benchRows(one, one.rows * one.steps * (rounds + 1));
  const spec = { one, model, rows, threads, rounds: rounds + 1 };
  const players = [oursPlayer(spec)];
  if (python) players.push(rivalPlayer(python, spec));
  try {
    const played: Round[][] = players.map(() => []);
    for (const player of players) await player.ready();
    for (let round = 0; round <= rounds; round++) {
      for (const [i, player] of players.entries()) {
        const result = await player.play();
        if (round > 0) played[i]!.push(result);
        process.stderr.write(`${name} ${i === 0 ? 'ours' : 'TRL'} ${round}: ${result.seconds.toFixed(2)} s\n`);
      }
    }
    const [ours, rival] = played.map((side) => summary(side, one.rows * one.steps));
    return { one, ours: ours!, rival };
  } finally {
    for (const player of players) player.stop();
  }
}

/** Ours alone, several cases in turns: one round to warm up, then `rounds` that count. */
export async function play(
  names: readonly string[],
  { rounds, threads }: { rounds: number; threads: number },
): Promise<{ title: string; rounds: Round[] }[]> {
  const sides = [];
  for (const name of names) {
    const one = trainCases[name]!;
    const model = await benchModel(one.model);
    const rows = await benchRows(one, one.rows * one.steps * (rounds + 1));
    const player = oursPlayer({ one, model, rows, threads, rounds: rounds + 1 });
    sides.push({ title: one.title, player, rounds: [] as Round[] });
  }
  try {
    for (const { player } of sides) await player.ready();
    for (let round = 0; round <= rounds; round++) {
      for (const { player, rounds: played } of sides) {
        const result = await player.play();
        if (round > 0) played.push(result);
      }
    }
    return sides;
  } finally {
    for (const { player } of sides) player.stop();
  }
}

/** Each round has other rows, so that rounds are not alike: what counts is the time of all. */
function summary(rounds: readonly Round[], rowsPerRound: number): Side {
  const total = (key: 'seconds' | 'cpuSeconds') => rounds.reduce((sum, round) => sum + round[key], 0);
  return {
    rowsPerSecond: (rounds.length * rowsPerRound) / total('seconds'),
    cpuSeconds: total('cpuSeconds'),
    peakMb: Math.max(...rounds.map(({ peakBytes }) => peakBytes)) / 2 ** 20,
    loss: rounds.at(-1)!.metrics.loss!,
  };
}
