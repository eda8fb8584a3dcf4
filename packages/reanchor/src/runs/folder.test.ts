import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FormatError, UserError } from '../errors.js';
import { parseRecipe } from '../recipe/parse.js';
import { packageVersion } from '../version.js';
import { createRunFolder, readRun, reserveRunFolder, runName } from './folder.js';

const recipe = parseRecipe('model: m\nmethod: dpo\ndata: { train: a }\nseed: 7\n', { file: 'r.yaml' });
const options = { recipe, command: ['reanchor', 'train', 'r.yaml'], time: new Date(), torch: '2.13.0', device: 'cpu' };
const newFolder = () => mkdtempSync(join(tmpdir(), 'run-'));

describe('a run folder', () => {
  it('says what is needed to do the run again', async () => {
    const path = join(newFolder(), 'run');
    const { lock, ...folder } = await createRunFolder(path, options);
    expect(folder).toEqual({
      path,
      events: join(path, 'events.jsonl'),
      superseded: join(path, 'superseded.jsonl'),
      checkpoints: join(path, 'checkpoints'),
      final: join(path, 'final'),
    });
    expect(readdirSync(path)).toEqual(['run.json', 'run.lock']);
    lock[Symbol.dispose]();
    expect(readdirSync(path)).toEqual(['run.json']);
    const read = readRun(path);
    expect(read.folder).toEqual(folder);
    expect(read.run).toMatchObject({
      recipe,
      seed: 7,
      command: options.command,
      versions: { reanchor: packageVersion(), node: process.versions.node, torch: '2.13.0' },
    });
    expect(read.run.machine.cpus).toBeGreaterThan(0);
    expect(read.run.machine.memory).toBeGreaterThan(0);
  });

  it('may exist, if it is empty', async () => {
    const path = newFolder();
    await createRunFolder(path, options);
    expect(existsSync(join(path, 'run.json'))).toBe(true);
    const begun = newFolder();
    writeFileSync(join(begun, 'run.json.tmp-0123456789ab'), '{');
    (await createRunFolder(begun, options)).lock[Symbol.dispose]();
    expect(readdirSync(begun)).toEqual(['run.json']);
  });

  it('is never written over another run or other files', async () => {
    const path = newFolder();
    await createRunFolder(path, options);
    await expect(createRunFolder(path, options)).rejects.toThrow(/is used by process/);
    rmSync(join(path, 'run.lock'));
    await expect(createRunFolder(path, options)).rejects.toThrow(/already holds a run: .* name a new folder/);
    mkdirSync(join(path, 'checkpoints', 'step-000004'), { recursive: true });
    await expect(createRunFolder(path, options)).rejects.toThrow(/not finished: go on with it by resume,/);
    const other = newFolder();
    writeFileSync(join(other, 'thesis.txt'), '');
    await expect(createRunFolder(other, options)).rejects.toThrow(/is not empty \(thesis.txt\)/);
    expect(readdirSync(other)).toEqual(['thesis.txt']);
  });

  it('that cannot be begun takes nothing with it that others have made meanwhile', async () => {
    const runs = join(newFolder(), 'new', 'runs');
    const unwritable = { ...options, recipe: { ...recipe, seed: 7n } as never };
    const starting = createRunFolder(join(runs, 'a'), unwritable);
    mkdirSync(join(runs, 'b'));
    await expect(starting).rejects.toThrow(/BigInt/);
    expect(readdirSync(runs)).toEqual(['b']);
    await expect(createRunFolder(join(runs, 'c/d'), unwritable)).rejects.toThrow(/BigInt/);
    expect(readdirSync(runs)).toEqual(['b']);
  });

  it('makes the folders above it, unless one is a file', async () => {
    const parent = newFolder();
    expect((await createRunFolder(join(parent, 'no', 'run'), options)).path).toBe(join(parent, 'no', 'run'));
    writeFileSync(join(parent, 'file'), '');
    await expect(createRunFolder(join(parent, 'file', 'run'), options)).rejects.toThrow(UserError);
    await expect(createRunFolder(join(parent, 'file'), options)).rejects.toThrow(
      /is a file, or below one: name a new folder/,
    );
    expect(readdirSync(parent)).toEqual(['file', 'no']);
  });

  it.skipIf(process.getuid?.() === 0)('cannot be made in a read-only folder', async () => {
    const parent = newFolder();
    mkdirSync(join(parent, 'locked'), { mode: 0o500 });
    await expect(createRunFolder(join(parent, 'locked', 'run'), options)).rejects.toThrow(/no permission \(EACCES\)/);
  });

  it('that is none is refused when read', () => {
    const path = newFolder();
    expect(() => readRun(path)).toThrow(/is no run folder/);
    writeFileSync(join(path, 'run.json'), '{');
    expect(() => readRun(path)).toThrow(FormatError);
    writeFileSync(join(path, 'run.json'), '{"recipe":{}}');
    expect(() => readRun(path)).toThrow(/not a run of reanchor/);
  });
});

it('the name of a run is that of its recipe and the local time', () => {
  expect(runName('recipes/tr-dpo.soft.yaml', new Date(2026, 0, 2, 3, 4, 5))).toBe('tr-dpo.soft-20260102-030405');
});

it('a folder for a run is reserved for one alone, and removed if nothing came into it', () => {
  const folder = join(mkdtempSync(join(tmpdir(), 'reserved-')), 'runs');
  const time = new Date(2026, 0, 2, 3, 4, 5);
  const paths = Array.from({ length: 11 }, () => reserveRunFolder(folder, 'x/r.yaml', time));
  const name = 'r-20260102-030405';
  expect(paths.map(({ path }) => basename(path))).toEqual([
    name,
    ...Array.from({ length: 10 }, (_, i) => `${name}-${i + 2}`),
  ]);
  writeFileSync(join(paths[3]!.path, 'run.json'), '{}');
  for (const path of paths) path[Symbol.dispose]();
  expect(readdirSync(folder)).toEqual([`${name}-4`]);
  writeFileSync(join(folder, 'file'), '');
  expect(() => reserveRunFolder(join(folder, 'file'), 'r.yaml', time)).toThrow(
    /file cannot be written: something is there already/,
  );
});
