/** Has every reader read what is no file, and prints what it says, a line of JSON each. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { fixtures } from '../support/repository.js';

export const irregularKinds = ['pipe', 'socket', 'device', 'folder'] as const;
type Kind = (typeof irregularKinds)[number];

/** The readers; each reads what lies at the path, which ends in the name given. */
const readers: Record<string, [name: string, read: (path: string) => unknown]> = {
  'rows: JSONL': ['x.jsonl', rows],
  'rows: JSONL, gzipped': ['x.jsonl.gz', rows],
  'rows: JSON': ['x.json', rows],
  'rows: Parquet': ['x.parquet', rows],
  'rows: by any name': ['x', rows],
  csv: ['x.csv', async (path) => (await import('#reanchor/formats/csv.js')).readCsv(path)],
  answers: ['x.jsonl', async (path) => (await import('#reanchor/eval/answers.js')).readAnswers(path)],
  recipe: ['r.yaml', async (path) => (await recipes()).readRecipe(path)],
  'recipe that is extended': [
    'r.yaml',
    async (path) =>
      (await recipes()).parseRecipe(`extends: ${basename(path)}\n`, { file: join(dirname(path), 'a.yaml') }),
  ],
  'model: config.json': [
    'config.json',
    async (path) => (await import('#reanchor/models/load.js')).readConfig(dirname(path)),
  ],
  'model: weights': ['model.safetensors', async (path) => (await formats()).openWeights(dirname(path))],
  'model: index': ['model.safetensors.index.json', async (path) => (await formats()).openWeights(dirname(path))],
  'model: generation_config.json': [
    'generation_config.json',
    async (path) => {
      const { modelStopTokens } = await import('#reanchor/generate/stop-tokens.js');
      const { loadTokenizer } = await import('#reanchor/text/tokenizer.js');
      return modelStopTokens(dirname(path), await loadTokenizer(join(fixtures, 'models/llama-tiny')));
    },
  ],
  'tokenizer.json': ['tokenizer.json', tokenizer],
  'tokenizer_config.json': ['tokenizer_config.json', tokenizer],
  'special_tokens_map.json': ['special_tokens_map.json', tokenizer],
  'chat_template.jinja': ['chat_template.jinja', tokenizer],
  'template by name': [
    'x.jinja',
    async (path) => {
      const { loadChatTemplate } = await import('#reanchor/text/chat-template.js');
      const { loadTokenizer } = await import('#reanchor/text/tokenizer.js');
      return loadChatTemplate(path, await loadTokenizer(join(fixtures, 'models/llama-tiny')));
    },
  ],
  'template of a judge': [
    'x.txt',
    async (path) => (await import('#reanchor/eval/judge/template.js')).readTemplate(path, 2),
  ],
  'model of a judge': [
    'x.gguf',
    async (path) => {
      const { LocalChat } = await import('#reanchor/eval/judge/local-chat.js');
      return LocalChat.open({ file: path, cacheFile: join(dirname(path), 'cache.jsonl') });
    },
  ],
  'answers that a judge has given': [
    'cache.jsonl',
    async (path) => (await import('#reanchor/eval/judge/reply-cache.js')).ReplyCache.open(path),
  ],
  journal: ['x.partial', async (path) => (await formats()).Journal.open(path, { work: 'x' })],
  'run.json': ['run.json', async (path) => (await runs()).readRun(dirname(path))],
  'events, read': ['events.jsonl', async (path) => (await runs()).readEvents(path)],
  'events, of a run that goes on': [
    'events.jsonl',
    async (path) => (await runs()).supersedeEvents(runFolder(path), { bytes: 10, step: 1 }),
  ],
  'events, of a finished run': ['events.jsonl', async (path) => (await runs()).completeEvents(runFolder(path))],
  'checkpoint: manifest': ['manifest.json', async (path) => (await runs()).verifyCheckpoint(dirname(path))],
  'checkpoint: tensors': [
    'x.safetensors',
    async (path) => (await import('#reanchor/weights/pieces-file.js')).readTensorsInto(path, new Map()),
  ],
  'digest of a model': [
    'x.safetensors',
    async (path) => {
      copyFileSync(join(fixtures, 'models/llama-tiny/config.json'), join(dirname(path), 'config.json'));
      return (await import('#reanchor/planning/digests.js')).modelDigest(dirname(path));
    },
  ],
};

export const readerNames = Object.keys(readers);

const recipes = () => import('#reanchor/recipe/index.js');
const runs = () => import('#reanchor/runs/index.js');
const formats = () => import('#reanchor/formats/index.js');

const runFolder = (events: string) => ({
  path: dirname(events),
  run: join(dirname(events), 'run.json'),
  events,
  superseded: join(dirname(events), 'superseded.jsonl'),
  checkpoints: join(dirname(events), 'checkpoints'),
  final: join(dirname(events), 'final'),
});

async function rows(path: string) {
  for await (const _ of (await formats()).readRecords(path));
}

async function tokenizer(path: string) {
  const model = join(fixtures, 'models/llama-tiny');
  for (const name of readdirSync(model).filter((one) => one !== basename(path))) {
    copyFileSync(join(model, name), join(dirname(path), name));
  }
  return (await import('#reanchor/text/tokenizer.js')).loadTokenizer(dirname(path));
}

async function place(path: string, kind: Kind): Promise<Server | undefined> {
  if (kind === 'pipe') spawnSync('mkfifo', [path]);
  if (kind === 'device') symlinkSync('/dev/zero', path);
  if (kind === 'folder') mkdirSync(path);
  if (kind !== 'socket') return undefined;
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return server;
}

async function main(root: string): Promise<void> {
  for (const [reader, [name, read]] of Object.entries(readers)) {
    for (const kind of irregularKinds) {
      const folder = join(root, 'f');
      mkdirSync(folder);
      const path = join(folder, name);
      const server = await place(path, kind);
      let error: { name?: string; message: string };
      try {
        await read(path);
        error = { message: 'no error' };
      } catch (cause) {
        error = { name: (cause as Error).name, message: (cause as Error).message.replaceAll(path, 'INPUT') };
      }
      console.log(JSON.stringify({ reader, kind, name: error.name, message: error.message }));
      server?.close();
      rmSync(folder, { recursive: true });
    }
  }
}

const [, script, root] = process.argv;
if (script?.endsWith('read-irregular.ts') && root !== undefined) await main(root);
