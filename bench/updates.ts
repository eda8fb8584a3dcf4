// What moving the reference costs: DPO with a fixed reference, TR-DPO soft every step and TR-DPO hard every 32 steps,
// in turns of 4 steps, without the rival. Prints a Markdown table.
//
//   npx tsx bench/updates.ts [rounds = 8] [threads = 2]
//
// 8 rounds are 32 steps, which the hard rule's one update is spread over; so means are compared, not medians.
import { play } from './train.js';

const [rounds = '8', threads = '2'] = process.argv.slice(2);
const names = ['dpo', 'dpo-soft', 'dpo-hard'] as const;
const played = await play(names, { rounds: Number(rounds), threads: Number(threads) });
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
const [base] = played;
const shown = (ratio: number) => `${ratio >= 1 ? '+' : ''}${(100 * (ratio - 1)).toFixed(1)} %`;
console.log(
  '| case | seconds a round of 4 steps | against DPO | processor time | against DPO |\n|---|---|---|---|---|',
);
for (const [i, { title, rounds }] of played.entries()) {
  const of = (key: 'seconds' | 'cpuSeconds', side = rounds) => mean(side.map((round) => round[key]));
  const cells = (['seconds', 'cpuSeconds'] as const).flatMap((key) => [
    `${of(key).toFixed(2)} s`,
    i === 0 ? '' : shown(of(key) / of(key, base!.rounds)),
  ]);
  console.log(`| ${title} | ${cells.join(' | ')} |`);
}
