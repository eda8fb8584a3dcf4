// Every reader of files and answers that come from elsewhere, as what it makes of bytes.
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { chooseFiles } from '#reanchor/data/choose-files.js';
import { encodePrompt } from '#reanchor/data/encode.js';
import { loadPreferenceRows } from '#reanchor/data/index.js';
import { readAnnotations } from '#reanchor/eval/alpaca/annotations.js';
import { readDifficulty, readGamedBaselines, readLcInputs } from '#reanchor/eval/alpaca/files.js';
import { readAnswers } from '#reanchor/eval/answers.js';
import { readJudgments, readQuestions } from '#reanchor/eval/arena/files.js';
import { styleOf } from '#reanchor/eval/arena/style.js';
import { readArenaReply, readLetter, readLetterProbabilities, readWinner } from '#reanchor/eval/judge/chat-judge.js';
import { readChatBody } from '#reanchor/eval/judge/chat-reply.js';
import { readTemplate } from '#reanchor/eval/judge/template.js';
import { readRatings } from '#reanchor/eval/ratings/rater.js';
import { Journal, openWeights, readJsonl, readRecords, shardNames } from '#reanchor/formats/index.js';
import { modelStopTokens } from '#reanchor/generate/stop-tokens.js';
import { listRepository } from '#reanchor/hub/client.js';
import { sessionWith } from '#reanchor/hub/testing/session.js';
import { readEvents, readRun, templateNow } from '#reanchor/runs/index.js';
import { ResultFiles } from '#reanchor/serve/result-files.js';
import { RunFile } from '#reanchor/serve/run-file.js';
import { ServedFolder } from '#reanchor/serve/served-folder.js';
import { ChatTemplate, loadTokenizer, parseTokenizer, type Tokenizer } from '#reanchor/text/index.js';
import { fixtures } from '../support/repository.js';
import { adapterInputs, adapterReaders, adapterWords } from './adapter-readers.js';
import { chatInputs, chatReaders, chatWords } from './chat-readers.js';
import { guarded, printed, readWithSecrets } from './filters.js';
import { fixture, wholeInputs } from './inputs.js';
import { machineInputs, machineReaders, machineWords } from './machine-readers.js';
import { Dice, mutate } from './mutate.js';
import { ofFile, parsedParts, type Reader, refusedOnly } from './reader.js';
import { wordsOf } from './words.js';

async function drain(values: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of values);
}

/** What an honest text is, and texts at which patterns that look back take long. */
const texts = [
  "The quick brown fox, 3 times.\n\n  don't",
  `${'a'.repeat(3000)}!`,
  `${' '.repeat(3000)}x`,
  `${'\n \t'.repeat(500)}.`,
  '1'.repeat(2000),
  '▁'.repeat(800),
  'é\u{1f600}\ud800<s></s>',
];

function useTokenizer(tokenizer: Tokenizer): void {
  for (const text of texts) tokenizer.decode(tokenizer.encode(text).slice(0, 50));
}

const chat = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'Hi {{ there }}' },
  { role: 'assistant', content: 'Hello'.repeat(20) },
  { role: 'user', content: '' },
];
let plainTokenizer: Tokenizer | undefined;
const linked = (folder: string, model: string, names: readonly string[]) => {
  mkdirSync(folder, { recursive: true });
  for (const name of names)
    if (!existsSync(join(folder, name))) symlinkSync(join(fixtures, 'models', model, name), join(folder, name));
};
const shards = [1, 2, 3, 4, 5].map((n) => `model-0000${n}-of-00005.safetensors`);

/** Answers for the Hub: `sha`, `tree`, `link`, `status` of the input, or its bytes as they are. */
let hub: { endpoint: string; answer: Buffer } | undefined;
async function startHub(): Promise<void> {
  const server = createServer((request, response) => {
    const { answer, endpoint } = hub!;
    const parts = parsedParts(answer);
    const isTree = request.url!.includes('/tree/');
    const next =
      { self: endpoint + request.url!, other: 'http://127.0.0.1:9/tree/' }[
        typeof parts.link === 'string' ? parts.link : ''
      ] ?? parts.link;
    if (isTree && typeof next === 'string' && /^[\x20-\x7e]+$/.test(next))
      response.setHeader('link', `<${next}>; rel="next"`);
    const status = typeof parts.status === 'number' ? parts.status : 200;
    response.statusCode = status >= 200 && status < 600 ? Math.floor(status) : 200;
    response.setHeader('content-type', 'application/json');
    const part = isTree ? parts.tree : parts.sha;
    try {
      const body = isTree ? part : { _id: '0', id: 'owner/name', sha: part, tags: [], siblings: [] };
      response.end(part === undefined ? answer : JSON.stringify(body));
    } catch {
      response.end(answer); // Lists in lists, deeper than JSON.stringify goes.
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  hub = { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, answer: Buffer.alloc(0) };
}

export const readers: Readonly<Record<string, Reader>> = {
  safetensors: ofFile('model.safetensors', 14, (_file, folder) => openWeights(folder)),
  index: ofFile('model.safetensors.index.json', 7, async (file, folder) => {
    const own = join(folder, 'shards');
    linked(own, 'llama3-untied', shards);
    writeFileSync(join(own, 'model.safetensors.index.json'), Buffer.alloc(0));
    const names = await shardNames(file);
    if (names.some((name) => name.includes('/'))) throw new Error(`shards elsewhere: ${names.join()}`);
    linked(folder, 'llama3-untied', shards);
    await openWeights(folder);
  }),
  jsonl: ofFile('input.jsonl', 12, (file) => drain(readJsonl(file))),
  gzip: ofFile('input.jsonl.gz', 8, (file) => drain(readJsonl(file))),
  json: ofFile('input.json', 3, (file) => drain(readRecords(file))),
  rows: ofFile('input.jsonl', 10, (file) => loadPreferenceRows([file])),
  parquet: ofFile('input.parquet', 10, async (file) => {
    await refusedOnly(() => loadPreferenceRows([file]));
    await drain(readRecords(file));
  }),
  csv: ofFile('input.csv', 2, async (file) => {
    await refusedOnly(() => readDifficulty(file));
    await refusedOnly(() => loadPreferenceRows([file]));
    await drain(readRecords(file));
  }),
  tsv: ofFile('input.tsv', 1, (file) => drain(readRecords(file))),
  card: {
    names: ['some/set'],
    share: 2,
    read: async (bytes) => {
      const paths = ['README.md', 'data/train-00000-of-00001.jsonl', 'en/a b.json', 'de/x.parquet', '.h/t.csv'];
      const read = async () => bytes.toString();
      await chooseFiles({ paths, read }, { name: 'some/set', selection: undefined, split: 'train' });
    },
  },
  tokenizer: ofFile('tokenizer.json', 2, async (_file, folder) => useTokenizer(await loadTokenizer(folder))),
  'tokenizer-config': {
    names: ['tokenizer_config.json', 'tokenizer.json', 'chat template', 'the prompt is empty'],
    share: 3,
    read: async (bytes, folder) => {
      writeFileSync(join(folder, 'tokenizer.json'), fixture('tokenizer/tokenizer.json'));
      writeFileSync(join(folder, 'tokenizer_config.json'), bytes);
      const tokenizer = await loadTokenizer(folder);
      if (tokenizer.chatTemplate !== undefined) encodePrompt({ prompt: chat }, tokenizer);
    },
  },
  template: {
    names: ['chat template', 'the prompt is empty'],
    share: 3,
    read: (bytes) => {
      plainTokenizer ??= parseTokenizer(JSON.parse(fixture('tokenizer/tokenizer.json').toString()));
      encodePrompt({ prompt: chat }, plainTokenizer, { template: ChatTemplate.of(bytes.toString()) });
    },
  },
  recipe: { ...ofFile('recipe.yaml', 8, readWithSecrets), names: ['recipe.yaml', 'on this machine', 'stands for no'] },
  events: ofFile('events.jsonl', 7, async (file, folder) => {
    const served = await ServedFolder.at(folder);
    await new RunFile(served, folder).refresh();
    await new RunFile(served, folder, { skim: { samples: 8, buckets: 8 } }).refresh();
    readEvents(file);
  }),
  run: ofFile('run.json', 3, (_file, folder) => {
    const { run } = readRun(folder);
    if (Number.isNaN(templateNow(run).getTime())) throw new Error('a run without a day');
  }),
  results: ofFile('result.json', 2, async (file, folder) => new ResultFiles(await ServedFolder.at(folder)).read(file)),
  hub: {
    names: ['owner/name', 'http://127.0.0.1'],
    share: 2,
    prepare: startHub,
    read: async (bytes) => {
      hub!.answer = bytes;
      const repository = { type: 'model', id: 'owner/name', revision: 'main' } as const;
      const { files } = await listRepository({ ...sessionWith(hub!.endpoint), repository });
      const outside = files.find(({ path }) => path.startsWith('/') || path.split('/').includes('..'));
      if (outside) throw new Error(`a file outside: ${outside.path}`);
    },
  },
  config: {
    names: ['config.json', 'model.safetensors', 'the checkpoint', 'missing from the checkpoint'],
    share: 3,
    read: async (bytes, folder) => {
      linked(folder, 'llama-tiny', ['model.safetensors']);
      writeFileSync(join(folder, 'config.json'), bytes);
      const { loadModel } = await import('#reanchor/models/load.js');
      (await loadModel(folder, { dtype: 'float32' }))[Symbol.dispose]();
    },
  },
  generation: ofFile('generation_config.json', 1, (_file, folder) =>
    modelStopTokens(folder, { eosId: 2 } as Tokenizer),
  ),
  annotations: ofFile('annotations.json', 3, (file) => readAnnotations(file)),
  'lc-inputs': ofFile('input.jsonl', 2, (file) => readLcInputs(file)),
  gamed: ofFile('gamed.json', 1, (file) => readGamedBaselines(file, 3)),
  arena: ofFile('input.jsonl', 1, async (file) => {
    await refusedOnly(() => readQuestions(file));
    await readJudgments(file);
  }),
  answers: ofFile('input.jsonl', 2, (file) => readAnswers(file)),
  judge: {
    names: ['log-probabilities'],
    share: 9,
    read: (bytes) => {
      const reply = guarded(readChatBody(bytes.toString()).reply);
      if (!('text' in reply)) return;
      styleOf(reply.text);
      for (const read of [readWinner, readArenaReply('last'), readArenaReply('only'), readLetter, readRatings])
        read(reply);
      readLetterProbabilities(reply);
    },
  },
  terminal: { names: [], share: 3, read: (bytes) => printed(bytes.toString()) },
  journal: ofFile('out.jsonl.partial', 1, async (file) => (await Journal.open(file, { model: 'm', seed: 1 })).close()),
  'template-file': ofFile('judge.txt', 1, (file) => readTemplate(file, 2)),
  ...chatReaders,
  ...machineReaders,
  ...adapterReaders,
};

/** The whole inputs by reader. */
export const allInputs: typeof wholeInputs = { ...wholeInputs, ...chatInputs, ...machineInputs, ...adapterInputs };
const allWords: typeof wordsOf = { ...wordsOf, ...chatWords, ...machineWords, ...adapterWords };

const known = new Map<string, Buffer[]>();

/** The broken input of a number, the same for the same seed. */
export function inputOf(name: string, seed: number, index: number): Buffer {
  let inputs = known.get(name);
  if (!inputs) {
    inputs = allInputs[name]!();
    known.set(name, inputs);
  }
  // The first inputs are the whole ones.
  if (index < inputs.length) return inputs[index]!;
  const dice = new Dice(seed, index, ...Buffer.from(name));
  return mutate(inputs, allWords[name] ?? [], dice);
}

/** How many inputs each reader gets of a number in all. */
export function campaign(inputs: number): { reader: string; inputs: number }[] {
  const all = Object.entries(readers);
  const shares = all.reduce((sum, [, { share }]) => sum + share, 0);
  return all.map(([reader, { share }]) => ({ reader, inputs: Math.ceil((inputs * share) / shares) }));
}
