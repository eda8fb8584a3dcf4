// Time to the first token of every turn of a chat, with and without the keys and values of the turns before it
// (PrefixCache), on a model of random weights in the shape of SmolLM2-135M, fp32, CPU.
//
//   npx tsx bench/chat.ts [--turns 5] [--question-tokens 40] [--answer-tokens 100] [--rounds 3] [--threads 2]
//
// The two ways take turns; medians of the rounds. Prints Markdown.
import { parseArgs } from 'node:util';
import { setNumThreads } from '@reanchor/torch';
import { type CausalLM, generate, initModel, PrefixCache } from 'reanchor';
import { models } from './cases.js';

const { values: flags } = parseArgs({
  options: {
    turns: { type: 'string', default: '5' },
    'question-tokens': { type: 'string', default: '40' },
    'answer-tokens': { type: 'string', default: '100' },
    rounds: { type: 'string', default: '3' },
    threads: { type: 'string', default: '2' },
  },
});
const [turns, questionTokens, answerTokens, rounds, threads] = [
  flags.turns,
  flags['question-tokens'],
  flags['answer-tokens'],
  flags.rounds,
  flags.threads,
].map(Number) as [number, number, number, number, number];

const shape = models['smollm2-135m'];
const vocabulary = shape.vocab_size;

/** Has a conversation; returns the milliseconds to the first token of each turn. */
async function converse(model: CausalLM, prefixCache: PrefixCache | undefined): Promise<number[]> {
  let ids = new Int32Array();
  const times: number[] = [];
  for (let turn = 0; turn < turns; turn++) {
    const question = Array.from({ length: questionTokens }, (_, i) => (turn * 7919 + i * 104729) % vocabulary);
    ids = Int32Array.of(...ids, ...question);
    const begun = performance.now();
    let first: number | undefined;
    const [answer] = await generate(model, [ids], {
      maxNewTokens: answerTokens,
      temperature: 0,
      prefixCache,
      onToken: () => (first ??= performance.now() - begun),
    });
    times.push(first!);
    ids = Int32Array.of(...ids, ...answer!.tokens);
  }
  return times;
}

const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!;

setNumThreads(threads);
using model = initModel(shape, { seed: 1, dtype: 'float32' });
await converse(model, undefined);
const [plain, cached]: number[][][] = [[], []];
for (let round = 0; round < rounds; round++) {
  plain!.push(await converse(model, undefined));
  using prefixCache = new PrefixCache();
  cached!.push(await converse(model, prefixCache));
}
const of = (times: number[][], turn: number) => median(times.map((each) => each[turn]!));
console.log('| turn | tokens before | anew | prefix cache | ratio |\n|---|---|---|---|---|');
for (let turn = 0; turn < turns; turn++) {
  const [a, b] = [of(plain!, turn), of(cached!, turn)];
  const before = turn * (questionTokens + answerTokens);
  console.log(`| ${turn + 1} | ${before} | ${a.toFixed(0)} ms | ${b.toFixed(0)} ms | ${(a / b).toFixed(1)} |`);
}
